# The workflow is workflow/Snakefile. An included file has no default target: it is named again here.
include: "workflow/Snakefile"


workflow.default_target = "all"
