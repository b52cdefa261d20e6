"""A training in TensorBoard, on request; no artifact, because its events carry the time."""

import shutil
from collections.abc import Callable
from pathlib import Path

from histopair.training import parallel


def writer(events: str, stage: str, history: list[dict]) -> Callable[[dict], None]:
    """A function that shows a row of history at once; the rows so far are shown first.

    Events go to the folder `events`/`stage`; if `events` is "", nothing is shown.
    """
    if not events or parallel.rank():
        return lambda row: None
    from torch.utils.tensorboard import SummaryWriter

    folder = Path(events, stage)
    shutil.rmtree(folder, ignore_errors=True)
    board = SummaryWriter(folder)

    def show(row: dict) -> None:
        for name, value in row.items():
            if isinstance(value, float):
                board.add_scalar(name, value, row["epoch"])
        board.flush()

    for row in history:
        show(row)
    return show
