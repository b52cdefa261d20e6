"""What made each artifact: config, versions, code fingerprints, hashes."""

import hashlib
from collections import Counter
from pathlib import Path

import yaml

import histopair
from histopair.files import tables
from histopair.pages import distinct

HASHED = 64 << 20  # larger files get no hash: it would take longer than the page itself


def context(config: dict, shown: dict, results: str, about: dict) -> dict:
    """The config as YAML, the software versions, and one row per artifact the page shows."""
    artifacts = [_artifact(path, results) for path in _paths(shown, results)]
    made_with = [artifact.pop("versions") for artifact in artifacts]
    return {
        "version": histopair.__version__,
        "config": yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100),
        "versions": dict(sorted((about.get("versions", {}) | _versions(made_with)).items())),
        "artifacts": artifacts,
    }


def _versions(made_with: list[dict[str, str]]) -> dict[str, str]:
    """By name the version that made the artifacts; if several did, with how many each made."""
    counts: dict[str, Counter] = {}
    for versions in made_with:
        for name, version in versions.items():
            counts.setdefault(name, Counter())[version] += 1
    return {
        name: ", ".join(
            f"{version} ({number} of {sum(found.values())} artifacts)"
            if len(found) > 1
            else version
            for version, number in found.items()
        )
        for name, found in counts.items()
    }


def _paths(shown: dict, results: str) -> list[Path]:
    runs = distinct(run for group in shown["runs"].values() for run in group)
    pattern = "runs/{dataset}/{encoder}/{method}/{seed}/predictions.parquet"
    names = [f"labels/{name}.parquet" for name in shown["datasets"]]
    names += [f"reports/{name}.parquet" for name in shown["corpora"]]
    names += [
        "embeddings/{encoder}/{dataset}.images.parquet".format(**e) for e in shown["embeddings"]
    ]
    names += [
        "pairs/{encoder}/{dataset}.{corpus}{correction}.parquet".format(**pair)
        for pair in shown["pairs"]
    ]
    names += [pattern.format(**run) for run in runs]
    names += [f"studies/{study}.csv" for study in shown["runs"]]
    return [Path(results, name) for name in names]


def _artifact(path: Path, results: str) -> dict:
    about = tables.about(path) if path.suffix == ".parquet" else {}
    return {
        "path": str(path.relative_to(results)),
        "rule": about.get("rule", ""),
        "code": about.get("code", ""),
        "sha256": _sha256(path),
        "versions": about.get("versions", {}),
    }


def _sha256(path: Path) -> str:
    if path.stat().st_size > HASHED:
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
