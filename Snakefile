# histopair: images and text in, a report page out. Each rule file opens with what it reads and writes.

from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/config.smk"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/phantom.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/pair.smk"
include: "workflow/rules/activations.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/study.smk"
include: "workflow/rules/survival.smk"
include: "workflow/rules/analyses.smk"


rule all:
    default_target: True
    input:
        "results/report.html",


# Those that the report shows and those that run by name.
rule studies:
    input:
        expand("results/studies/{study}.html", study=config["studies"]),
