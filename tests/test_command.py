"""The command histopair: what it offers, where it works, and what it says where it cannot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import commands
import workflow
from commands import __main__ as command
from commands import run

ROOT = Path(__file__).parents[1]
HISTOPAIR = [sys.executable, str(ROOT / "workflow" / "commands")]


def said(*words: str, folder: Path, command=HISTOPAIR, **environment: str):
    environment = workflow.environment() | environment
    return subprocess.run(
        [*command, *words], cwd=folder, env=environment, text=True, capture_output=True, check=False
    )


def test_help_names_every_command_and_what_it_is_for(capsys):
    assert command.main(["--help"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[2:]]
    names = ["accept-labels", "accept-merges", "audit", "data", "doctor", "make-queue", "predict"]
    names += ["presets", "run", "serve"]
    assert [name for name, _ in lines] == names
    assert all(purpose.endswith(".") for _, purpose in lines)
    assert command.main([]) == 2


@pytest.mark.parametrize("name", command.names())
def test_each_command_has_a_help_that_shows_how_it_is_called(name, tmp_path):
    done = said(name, "--help", folder=tmp_path)
    assert done.returncode == 0 and f"histopair {name}" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_there_is_not_is_one_line(tmp_path):
    done = said("audits", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "histopair: there is no command 'audits' (did you mean 'audit'?). "
        "Choose accept-labels, accept-merges, audit, data, doctor, make-queue, predict, presets, "
        "run, serve\n"
    )


@pytest.fixture
def installed(tmp_path) -> Path:
    """The command as `make install` lays it into the environment of a checkout."""
    checkout = workflow.copy_to(tmp_path / "a checkout")
    (checkout / ".venv" / "bin").mkdir(parents=True)
    path = checkout / ".venv" / "bin" / "histopair"
    shutil.copy(ROOT / "workflow" / "commands" / "histopair.sh", path)
    path.chmod(0o755)
    python = path.with_name("python")
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return path


def test_the_installed_command_is_found_from_any_folder_and_through_links(installed, tmp_path):
    link = tmp_path / "histopair"
    link.symlink_to(installed)
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (str(installed), str(link), os.path.relpath(installed, folder)):
        done = said("--help", folder=folder, command=[path])
        assert (done.returncode, done.stdout) == (0, f"{command.help_text()}\n")


def test_make_install_lays_the_command_into_the_environment():
    recipe = subprocess.run(
        ["make", "--dry-run", "--always-make", "install"], cwd=ROOT, text=True, capture_output=True
    ).stdout
    assert "install -m 755 workflow/commands/histopair.sh .venv/bin/histopair" in recipe


def test_results_go_to_a_folder_with_a_config_else_to_the_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert commands.folder() == ROOT
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").touch()
    assert commands.folder() == tmp_path


def test_a_folder_with_a_config_runs_the_checkouts_workflow(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copy(ROOT / workflow.CONFIG, tmp_path / "config" / "config.yaml")
    done = said("run", "--cores", "2", "results/reports/phantom-colon.parquet", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "results/reports/phantom-colon.parquet").is_file()
    assert "2 of 2  clean_reports phantom-colon  " in done.stderr


def test_any_other_folder_runs_in_the_checkout(installed, tmp_path):
    checkout, folder = installed.parents[2], tmp_path / "folder"
    folder.mkdir()
    shutil.copy(ROOT / workflow.CONFIG, checkout / "config" / "config.yaml")
    target = "results/phantom/tcga/TCGA_Reports.csv"
    done = said("run", "--cores", "2", target, folder=folder, command=[str(installed)])
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"histopair: in {checkout}, as there is no config/config.yaml here\n"
    assert (checkout / target).is_file() and list(folder.iterdir()) == []


def test_files_that_are_named_where_the_user_is_are_those(installed, tmp_path):
    checkout, folder = installed.parents[2], tmp_path / "folder"
    folder.mkdir()
    for place, name in ((checkout, "both"), (folder, "both"), (checkout, "one"), (folder, "two")):
        (place / f"{name}.yaml").write_text(f"{name}: {place.name}\n")
    (folder / "mine").write_text("rule all:\n    run:\n        print('found', config)\n")
    words = ["run", "-smine", "--configfile", "both.yaml", "one.yaml", "--cores", "1"]
    done = said(*words, folder=folder, command=[str(installed)])
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"found {{'both': 'folder', 'one': '{checkout.name}'}}" in done.stdout
    assert {path.name for path in folder.iterdir()} == {"both.yaml", "two.yaml", "mine"}
    done = said("doctor", "--configfile", "two.yaml", folder=folder, command=[str(installed)])
    assert "unknown key 'two'" in done.stdout


def test_only_words_that_name_a_file_get_its_path():
    whole = {"a.yaml": "/here/a.yaml"}
    words = ["a.yaml", "-sa.yaml", "--configfile=a.yaml", "b.yaml", "page", "--config", "x=a.yaml"]
    paths = ["/here/a.yaml", "-s/here/a.yaml", "--configfile=/here/a.yaml", *words[3:]]
    assert [run.with_path(word, whole) for word in words] == paths


def test_a_folder_with_a_snakefile_of_its_own_runs_that_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run.added(run.parsed(["-n"])) == ["--logger=calm", f"--snakefile={ROOT / 'Snakefile'}"]
    assert run.added(run.parsed(["-s", "other", "--logger", "rich"])) == []
    assert run.added(run.parsed(["-s", "other", "--quiet"])) == []
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow" / "Snakefile").touch()
    assert run.added(run.parsed(["-n"])) == ["--logger=calm"]


def test_arguments_of_snakemake_are_read_and_not_taken():
    words = ["page", "--configfile", "a.yaml", "b.yaml", "-n", "--configfile=c.yaml", "-d", "there"]
    options = run.parsed([*words, "--config", "gpu=1", "--cores", "2"])
    assert options.configfile == ["a.yaml", "b.yaml", "c.yaml"]
    assert options.directory == Path("there")
    assert (options.snakefile, options.logger, options.executor) == (None, None, None)


@pytest.mark.parametrize(
    ("words", "variables", "silent"),
    [
        ([], {}, True),
        (["--workflow-profile", "profiles/slurm"], {}, False),
        (["-e", "slurm"], {}, False),
        (["--profile=mine"], {}, False),
        ([], {"SNAKEMAKE_PROFILE": "mine"}, False),
        ([], {"SLURM_CONF": "slurm.conf"}, False),
    ],
)
def test_slurm_is_asked_where_a_cluster_was_chosen(words, variables, silent, monkeypatch):
    for name in ("SLURM_CONF", "SNAKEMAKE_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ("SLURM_CONF" in run.environment(run.parsed(words))) is silent


def test_a_folder_whose_jobs_slurm_still_has_is_left_alone(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("a: 1\n")
    (tmp_path / "Snakefile").write_text('rule all:\n    shell: "true"\n')
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text(f"#!/bin/sh\necho '7 /elsewhere\n8 {tmp_path.resolve()}'\n")
    squeue.chmod(0o755)
    path = os.pathsep.join([str(squeue.parent), os.environ["PATH"]])
    locks, logs = (tmp_path / ".snakemake" / name for name in ("locks", "slurm_logs"))
    locks.mkdir(parents=True)
    (locks / "0.input.lock").touch()
    logs.mkdir()  # which the Slurm plugin leaves where it ran
    done = said("run", "--cores", "1", folder=tmp_path, PATH=path)
    words = "Slurm jobs are at work in this folder: wait, or end them by `scancel 8`.\n"
    assert (done.returncode, done.stderr) == (1, words)
    assert (locks / "0.input.lock").exists()
    (locks / "0.input.lock").unlink()
    squeue.write_text("#!/bin/sh\necho '7 /elsewhere'\n")
    assert said("run", "--cores", "1", folder=tmp_path, PATH=path).returncode == 0


def test_the_slurm_profile_plans_with_the_lines_of_histopair_run(tmp_path):
    folder = workflow.copy_to(tmp_path / "histopair")
    words = ["--workflow-profile", "profiles/slurm", "--configfile", workflow.CONFIG, "--dry-run"]
    done = said("run", *words, folder=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "rule page:" in done.stdout.replace("    rule", "rule").splitlines()


@pytest.mark.parametrize(
    ("words", "profile", "added"),
    [
        ([], "rerun-incomplete: true\n# cores: 2\nlocal-cores: 1\n", ["--cores=all"]),
        (["page", "--config", "gpu=1", "-n", "-d", "c"], "", ["--cores=all"]),
        (["--cores", "2"], "", []),
        (["--cores=2"], "", []),
        (["-c2"], "", []),
        (["-pj4"], "", []),
        (["--job", "4"], "", []),
        ([], "cores: 2\n", []),
        ([], "rerun-incomplete: true\njobs: 2\n", []),
        ([], "{'cores': 2}\n", []),
        (["--workflow-profile", "profiles/slurm"], "", []),
        (["--profile=mine"], "", []),
        (["-e", "slurm"], "", []),
    ],
)
def test_all_cores_are_used_unless_something_says_how_many(
    words, profile, added, tmp_path, monkeypatch
):
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles" / "default").mkdir(parents=True)
    (tmp_path / "profiles" / "default" / "config.v9+.yaml").write_text(profile)
    assert run.cores(run.parsed(words), words) == added


def test_a_run_without_a_word_on_cores_runs(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("a: 1\n")
    rule = "rule all:\n    run:\n        print(workflow.cores, 'cores')\n"
    (tmp_path / "Snakefile").write_text(rule)
    done = said("run", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{len(os.sched_getaffinity(0))} cores" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["nct-crc", "nct_crc"])
def test_data_takes_the_name_as_the_config_and_as_the_target_spells_it(name, tmp_path):
    done = said("data", name, folder=tmp_path)
    assert done.returncode == 0 and "folder: data/nct-crc\n" in done.stdout


def test_the_docs_have_a_row_for_each_command():
    text = (ROOT / "docs" / "other-workflows.md").read_text()
    assert [name for name in command.names() if f"| `histopair {name}" not in text] == []
