"""How a peer's script answers: `ready` when it is set up, and after each run."""

import sys
from collections.abc import Callable


def serve(run: Callable[[], object]) -> None:
    """Call run() for each line of the standard input."""
    print("ready", flush=True)
    for _ in sys.stdin:
        run()
        print("ready", flush=True)
