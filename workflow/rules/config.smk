# Reads the config files again, because YAML drops the first of two equal keys. Without a file, the
# config is the default one.

import io
import sys
import tarfile


def package(rules):
    """The folder of the package: beside these rules; from a git host, unpacked once per commit.

    For a `module` from a git host, Snakemake fetches only the files that rules name.
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
# Scripts import the package from their own folder, which from a git host does not contain it.
ELSEWHERE = filter(None, [os.environ.get("PYTHONPATH")])
os.environ.update(PYTHONPATH=os.pathsep.join([PACKAGE, *ELSEWHERE]))

from histopair.plan import config_files
from histopair.errors import InputError


def stop(mistake):
    """End Snakemake with one line, for mistakes found while it reads or plans.

    An exception will not do: Snakemake shows a traceback of this file, and if the rule's output
    exists, it ignores the error and uses the old file.
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
