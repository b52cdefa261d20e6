"""How a peer's script answers: `ready` when it is set up, and after each run."""

import sys
from collections.abc import Callable


def serve(run: Callable[[], object]) -> None:
    """Call run() for each line of the standard input."""
    print("\nready", flush=True)  # after what may stand in the line
    for _ in sys.stdin:
        run()
        print("\nready", flush=True)
