"""Commands outside the workflow, one a file: `histopair NAME` calls `main(words)` of NAME.py."""

import argparse
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def folder() -> Path:
    """Where results go: the current folder if it has a config/config.yaml, else the checkout."""
    here = Path.cwd()
    return here if (here / "config" / "config.yaml").is_file() else CHECKOUT


def parser(name: str, about: str) -> argparse.ArgumentParser:
    """The parser of `histopair NAME`, whose help shows `about` as it stands."""
    return argparse.ArgumentParser(
        prog=f"histopair {name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
