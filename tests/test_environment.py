"""The lock, the conda environments, the project file and the code name the same libraries."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import workflow
from histopair.plan.fingerprint import import_closure, module_path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
SCRIPTS = ROOT / "workflow" / "scripts"
# conda name -> name in the lock, and module -> name in the lock, where they differ
CONDA = {"pytorch": "torch", "matplotlib-base": "matplotlib", "faiss-gpu": "faiss-cpu"}
CONDA["huggingface_hub"] = "huggingface-hub"
MODULES = {
    "faiss": "faiss-cpu",
    "huggingface_hub": "huggingface-hub",
    "open_clip": "open-clip-torch",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "sksurv": "scikit-survival",
    "yaml": "pyyaml",
}


def pinned(requirement: str) -> tuple[str, str]:
    """("numpy", "2.4.6") of "numpy==2.4.6"."""
    name, version = requirement.split("==")
    return name, version


def locked() -> dict[str, str]:
    """Version of each package of the lock."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", LOCK, flags=re.MULTILINE))


def conda_pins(path: Path) -> dict[str, str]:
    """Version of each package of a conda environment, by its name in the lock."""
    entries = yaml.safe_load(path.read_text())["dependencies"]
    pairs = (entry.split(" =") for entry in entries if not entry.startswith("python "))
    return {CONDA.get(name, name): version for name, version in pairs}


def module_names(path: Path) -> set[str]:
    """Full names of the modules that a file imports anywhere."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return names


def imported(path: Path) -> set[str]:
    """Distributions that a file imports, but for the standard library and this project."""
    modules = {name.split(".")[0] for name in module_names(path)}
    return {MODULES.get(m, m) for m in modules - sys.stdlib_module_names - {"histopair"}}


def own_modules(path: Path) -> set[str]:
    """Modules of the package that a file imports."""
    files = {name: SCRIPTS / name.replace(".", "/") for name in module_names(path)}
    return {
        name
        for name, file in files.items()
        if name.startswith("histopair.")
        and (file.with_suffix(".py").is_file() or (file / "__init__.py").is_file())
    }


def scripts_of_rules() -> list[tuple[str, str]]:
    """(conda environment, script) of each rule."""
    rules = [
        rule
        for path in sorted((ROOT / "workflow" / "rules").glob("*.smk"))
        for rule in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]
    ]
    named = r'conda:\s*"../../envs/(\w+)\.yaml".*script:\s*"../scripts/(\w+\.py)"'
    return [match.groups() for rule in rules if (match := re.search(named, rule, re.DOTALL))]


def test_every_dependency_of_the_project_is_locked_in_its_version():
    declared = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    assert dict(map(pinned, declared)).items() <= locked().items()


def test_every_locked_package_has_a_hash():
    entries = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == len(locked())
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_names_no_host_and_no_path_and_says_how_it_was_made():
    assert not re.search(r"://|--(extra-)?index|--find-links|^-|(^|\s)\.?/\w", LOCK, re.MULTILINE)
    assert "make lock" in LOCK.split("==")[0]


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_conda_environments_pin_the_locked_versions(path):
    assert conda_pins(path).items() <= locked().items()


def test_of_the_conda_environments_only_one_has_torch():
    assert [path.stem for path in ENVIRONMENTS] == ["data", "faiss-gpu", "faiss", "torch"]
    assert [path.stem for path in ENVIRONMENTS if "torch" in conda_pins(path)] == ["torch"]


def test_the_scripts_import_declared_dependencies_only():
    declared = {pinned(requirement)[0] for requirement in PROJECT["dependencies"]}
    undeclared = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted(SCRIPTS.rglob("*.py"))
        for name in imported(path) - declared
    }
    assert undeclared == set()


def test_everything_that_conda_installs_is_a_dependency_of_the_project():
    declared = {pinned(requirement)[0] for requirement in PROJECT["dependencies"]}
    assert set().union(*map(conda_pins, ENVIRONMENTS)) <= declared


@pytest.mark.parametrize(("environment", "script"), sorted(set(scripts_of_rules())))
def test_what_a_script_imports_is_in_the_conda_environment_of_its_rule(environment, script):
    own = own_modules(SCRIPTS / script)
    files = [SCRIPTS / script, *map(module_path, import_closure(own))]
    missing = {
        f"{path.relative_to(SCRIPTS)}: {name}"
        for path in files
        for name in imported(path) - set(conda_pins(ROOT / "envs" / f"{environment}.yaml"))
    }
    assert missing == set()


def test_every_rule_shares_a_slurm_allocation_or_is_large_enough_for_its_own():
    groups = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())["groups"]
    rules = {
        name
        for path in (ROOT / "workflow" / "rules").glob("*.smk")
        for name in re.findall(r"^(?:use rule \w+ as|rule) (\w+)", path.read_text(), re.MULTILINE)
    }
    own = {"clean_labels", "train_encoder", "embed_images", "cache_activations", "run", "teach"}
    own.add("distil")
    # As many at a time as the profile's `jobs`: parts in one allocation would wait for each other.
    own |= {"embed_images_part", "embed_captions_part", "cache_activations_part", "pair_part"}
    own |= {"tune", "embed_bags", "phantom_features", "predict_external"}
    own.add("measure_cost")  # in company, times are another's
    own.add("page")  # which waits for all
    # On the machine that Snakemake runs on.
    own |= {"download", "fetch_encoder", "fetch_weights"}
    own.add("repeat")  # hundreds of runs
    assert rules - set(groups) == own
    assert set(groups) <= rules


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_group_of_the_slurm_profile_waits_for_itself(tmp_path, jobs):
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
    words = ["all", "studies"]
    for key in ("groups", "group-components"):
        words += [f"--{key}", *(f"{name}={value}" for name, value in profile[key].items())]
    folder, config = workflow.copy_to(tmp_path / "histopair"), "config/config.yaml"
    workflow.edit(folder / config, "shard_size: 512", f"shard_size: 512\n  jobs: {jobs}")
    rules = set(workflow.planned(folder, *words, config=config).values())
    assert {"phantom_features", "embed_bags", "page"} <= rules
    assert ({"embed_images_part", "pair_part"} <= rules) == (jobs > 1)


def test_the_profiles_agree_on_what_makes_a_step_run_again():
    keys = ("rerun-triggers", "max-checksum-file-size", "rerun-incomplete")
    profiles = [yaml.safe_load(path.read_text()) for path in ROOT.glob("profiles/*/config.yaml")]
    assert len(profiles) == 3
    for profile in profiles:
        assert {key: profile[key] for key in keys} == {key: profiles[0][key] for key in keys}
