"""Make the package importable and keep tests to one thread each."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from histopair.jobs import limit_threads  # noqa: E402

limit_threads(1)
