"""Another workflow takes histopair in as a module, from a folder or from a git host."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import workflow

ROOT = Path(__file__).parents[1]
SNAKEFILE = """
configfile: "{config}"

module histopair:
    snakefile: {source}
    config: config

use rule * from histopair

rule summary:
    input: "results/page.html"
    output: "summary.txt"
    shell: "wc {{input}} > {{output}}"
"""
# Where Snakemake keeps its clones of a git host, below XDG_CACHE_HOME.
CLONES = "snakemake/snakemake/source-cache/snakemake-git-cache/github.com"


@pytest.fixture
def other(tmp_path):
    """A workflow of another folder, with the config and the tables that the small config names."""
    folder = tmp_path / "other"
    shutil.copytree(ROOT / "config", folder / "config")
    (folder / "tests").mkdir()
    shutil.copy(ROOT / workflow.CONFIG, folder / workflow.CONFIG)

    def using(source: str) -> Path:
        text = SNAKEFILE.format(config=workflow.CONFIG, source=source)
        (folder / "Snakefile").write_text(text)
        return folder

    return using


@pytest.fixture
def hosted(tmp_path, monkeypatch) -> str:
    """This checkout as a tag of a bare clone, where Snakemake looks for its clones of a host."""
    if not shutil.which("git"):
        pytest.skip("there is no git")
    checkout = workflow.copy_to(tmp_path / "checkout")
    for words in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "all"],
        ["tag", "v1"],
        ["clone", "--quiet", "--bare", ".", str(tmp_path / "cache" / CLONES / "me" / "histopair")],
    ):
        subprocess.run(["git", *words], cwd=checkout, check=True)
    shutil.rmtree(checkout)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return 'github("me/histopair", path="workflow/Snakefile", tag="v1")'


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> dict[str, str]:
    """What a checkout of its own plans from nothing."""
    found = workflow.planned(workflow.copy_to(tmp_path_factory.mktemp("own") / "histopair"))
    assert found["results/page.html"] == "page"
    return found


def test_a_module_from_a_folder_plans_what_the_workflow_does_and_runs(other, jobs):
    folder = other(repr(str(ROOT / "workflow" / "Snakefile")))
    assert workflow.planned(folder) == jobs
    assert workflow.planned(folder, "summary.txt") == jobs | {"summary.txt": "summary"}
    table = "results/labels/phantom-bach.parquet"
    process = workflow.run(folder, table)
    assert process.returncode == 0, process.stdout[-3000:]
    assert (folder / table).is_file()


def test_a_module_from_a_git_host_plans_what_the_workflow_does_and_runs(other, jobs, hosted):
    folder = other(hosted)
    assert workflow.jobs_of(workflow.run(folder, "--dry-run").stdout) == jobs
    table = "results/labels/phantom-bach.parquet"
    process = workflow.run(folder, table)
    assert process.returncode == 0, process.stdout[-3000:]
    assert (folder / table).is_file()
    unpacked = [path for path in (folder / ".snakemake/histopair").iterdir() if path.is_dir()]
    assert len(unpacked) == 1, "unpacked once"


def test_both_snakefiles_of_a_checkout_have_the_same_default_target(tmp_path, jobs):
    folder = workflow.copy_to(tmp_path / "histopair")
    assert workflow.planned(folder, "--snakefile", "workflow/Snakefile") == jobs


def test_what_the_catalogue_asks_of_a_workflow_is_there():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert {"mandatory-flags", "software-stack-deployment", "report"} <= usage.keys()
    assert usage["software-stack-deployment"]["conda"] is True
    # Without a `container:` Snakemake would run the jobs outside of any, and say nothing.
    files = [ROOT / "workflow/Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
    contained = any("container:" in path.read_text() for path in files)
    assert usage["software-stack-deployment"]["apptainer"] is contained
    assert (ROOT / "config/README.md").is_file()


def test_the_citation_states_what_the_project_does():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {"version": "version", "license": "license", "title": "name", "keywords": "keywords"}
    assert {ours: citation[ours] for ours in names} == {
        ours: project[theirs] for ours, theirs in names.items()
    }
    assert citation["authors"] == [{"name": "The histopair authors"}]
