# The config as its files have it: read again here, because YAML drops the first of two equal keys.
# Without a file it is the default.

import sys

sys.path.insert(0, str(Path(workflow.basedir) / "workflow" / "scripts"))

from histopair.plan import config_files
from histopair.errors import InputError


def stop(mistake):
    """End Snakemake with one line, for mistakes that show while it reads or plans.

    Raising would not do: Snakemake shows a traceback of this file, and if the rule's output exists
    it ignores the error and uses the old file.
    """
    raise SystemExit(f"histopair: {mistake}")


DEFAULT = not workflow.configfiles and "studies" not in config

try:
    for path in ["config/config.yaml"] if DEFAULT else workflow.configfiles:
        config_files.check(path)
except InputError as mistake:
    stop(mistake)

if DEFAULT:

    configfile: "config/config.yaml"
