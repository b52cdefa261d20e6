# The config as its files have it: read again here, because YAML drops the first of two equal keys.
# Without a file it is the default.

import io
import sys
import tarfile


def package(rules):
    """The folder of the package: beside these rules; from a git host, unpacked once per commit.

    Of a `module` from a git host Snakemake fetches single files, those that rules name.
    """
    if isinstance(rules, os.PathLike):
        return Path(rules).resolve().parent / "scripts"
    repo = rules.hosted_repo.repo
    folder = Path(".snakemake", "histopair", repo.commit(rules.ref).hexsha).absolute()
    if not folder.exists():
        part = folder.with_suffix(f".{os.getpid()}")
        files = io.BytesIO(repo.git.archive(rules.ref, "workflow", stdout_as_string=False))
        tarfile.open(fileobj=files).extractall(part, filter="data")
        part.rename(folder)
    return folder / "workflow" / "scripts"


PACKAGE = str(package(workflow.current_basedir))
sys.path.insert(0, PACKAGE)
# Jobs' scripts look beside themselves; from a git host they are alone.
ELSEWHERE = filter(None, [os.environ.get("PYTHONPATH")])
os.environ.update(PYTHONPATH=os.pathsep.join([PACKAGE, *ELSEWHERE]))

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
