"""What is to be computed against this machine: time of stages, disk, GPU memory."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from histopair.doctor.rows import LATER, LOOK, OK, UNKNOWN, WRONG, Row
from histopair.doctor.trial import Speed, Training
from histopair.doctor.work import Cache, Learning
from histopair.plan import places, presets

BYTES = {"float16": 2, "bfloat16": 2, "float32": 4}
AFTER = "a trial is possible once the workflow has made the encoder"
NO_TRIAL = "no trial, as the encoder is not here or does not load"
COPIES = 2  # the embeddings' file, and its shards
FULL = 0.8  # the share of a disk or of a GPU's memory from which a row is yellow


def time_rows(caches: list[Cache], speeds: dict[str, Speed], to_come: set[str]) -> Iterator[Row]:
    """How long embeddings take on this machine, by stage and encoder. Prompts are few.

    to_come: encoders that the workflow makes first.
    """
    groups: dict[tuple[str, str], list[Cache]] = {}
    for cache in caches:
        if cache.kind != "prompts":
            groups.setdefault((cache.rule, cache.encoder), []).append(cache)
    for (rule, encoder), group in groups.items():
        yield Row(f"time {rule} {encoder}", *_time(group, speeds.get(encoder), encoder in to_come))


def _time(group: list[Cache], speed: Speed | None, later: bool) -> tuple[str, str]:
    """State and finding of the caches of one stage and encoder."""
    counted = [cache for cache in group if cache.items is not None]
    if not counted:
        return LATER, f"for {_sources(group)} whose files are not there yet"
    unit = {"images": "images", "texts": "reports"}.get(group[0].kind, "texts")
    items = sum(cache.items * cache.turns for cache in counted)
    finding = f"{items:,} {unit} of {_sources(counted)}"
    if len(counted) < len(group):
        finding += f" ({_sources(group)} in all)"
    each = speed and (speed.tile if unit == "images" else speed.text)
    if each is None:
        return (LATER, f"{finding}; {AFTER}") if later else (UNKNOWN, f"{finding}; {NO_TRIAL}")
    longer = ", more if they are cut into chunks" if unit == "reports" else ""
    rate = f"{1 / each:,.1f} a second on {speed.device}"
    return OK, f"{finding}: {duration(items * each)} at {rate}{longer}"


def _sources(group: list[Cache]) -> str:
    """How many datasets or corpora caches are of."""
    one, more = ("corpus", "corpora") if group[0].kind == "texts" else ("dataset", "datasets")
    count = len({cache.of for cache in group})
    return f"{count} {one if count == 1 else more}"


def training_rows(
    learnings: list[Learning],
    trainings: dict[tuple, Training],
    memory: int | None,
    to_come: set[str],
) -> Iterator[Row]:
    """The GPU memory that trainings of a tower need at most, and how long they take.

    memory: bytes of the GPU here; None without one. to_come: as for `time_rows`.
    """
    groups: dict[tuple, list[Learning]] = {}
    for learning in learnings:
        groups.setdefault((learning.encoder, learning.blocks), []).append(learning)
    for key, group in groups.items():
        row = _training_row(key, group, trainings.get(key), memory)
        if row.state == UNKNOWN and key[0] in to_come:
            row = replace(row, state=LATER, finding=row.finding.replace(NO_TRIAL, AFTER))
        yield row


def _training_row(key: tuple, group: list[Learning], trial: Training | None, memory) -> Row:
    encoder, blocks = key
    check, runs = f"train {encoder}", sum(part.runs for part in group)
    part = "the whole tower" if blocks == "all" else f"its last {blocks} block(s)"
    if trial is None:
        return Row(check, UNKNOWN, f"{runs} runs train {part}; {NO_TRIAL}")
    batch = max(learning.batch for learning in group)
    need = trial.fixed + trial.each * batch
    finding = f"{runs} runs train {part}: {volume(need)} at most for a batch of {batch}"
    counted = [learning for learning in group if learning.items is not None]
    if counted:
        images = sum(part.items * part.epochs * part.runs for part in counted)
        finding += f", {duration(trial.seconds * images)} at most on {trial.device}"
    return Row(check, *_fits(need, memory, finding))


def _fits(need: int, memory: int | None, finding: str) -> tuple[str, str, str]:
    remedy = "Use a smaller batch_size, or `accumulate`, or another GPU"
    if memory is None:
        return OK, f"{finding}; there is no GPU here to compare with", ""
    state = WRONG if need > memory else LOOK if need > FULL * memory else OK
    finding = f"{finding}; the GPU has {volume(memory)}"
    return state, finding, "" if state == OK else remedy


def disk_rows(config: dict, caches: list[Cache], speeds: dict[str, Speed]) -> Iterator[Row]:
    """The disk that embeddings and activations take, and what is free for them."""
    free = shutil.disk_usage(_existing(Path(places.RESULTS))).free
    sizes = {cache: _bytes(config, cache, speeds) for cache in caches if cache.kind != "prompts"}
    limit = config["activations"]["budget_gb"] * 1e9
    for cache, size in sizes.items():
        if cache.rule == "cache_activations" and size and size > limit:
            sizes[cache] = 0
            yield _above_budget(cache, size, limit)
    need = sum(filter(None, sizes.values()))
    yield _against(free, need, len(sizes), sum(size is None for size in sizes.values()))


def _above_budget(cache: Cache, size: int, limit: float) -> Row:
    budget = f"activations.budget_gb {limit / 1e9:g}"
    finding = f"{volume(size)} are above {budget}: the frozen blocks run in every step"
    remedy = "Raise it if the disk has room: training is then faster"
    return Row(f"activations {cache.encoder} {cache.of}", LOOK, finding, remedy)


def _against(free: int, need: int, caches: int, unknown: int) -> Row:
    size = volume(need) if need or not unknown else "an unknown size"
    finding = f"{size} of embeddings and activations to come, {volume(free)} free"
    state = WRONG if need > free else LOOK if need > FULL * free else OK
    if unknown:
        finding += f"; {unknown} of {caches} are not counted: their encoder or data are not here"
        state = UNKNOWN if state == OK else state
    remedy = "Free some space, or link results to a larger disk" if need > FULL * free else ""
    return Row("disk", state, finding, remedy)


def _bytes(config: dict, cache: Cache, speeds: dict[str, Speed]) -> int | None:
    """Bytes of a cache; None where its encoder or its data are not here."""
    if cache.rule == "cache_activations":
        return _activation_bytes(config, cache, speeds)
    return _embedding_bytes(config, cache, speeds)


def _embedding_bytes(config: dict, cache: Cache, speeds: dict[str, Speed]) -> int | None:
    width = _width(config, cache, speeds)
    if cache.items is None or width is None:
        return None
    return COPIES * cache.items * width * BYTES[config["embedding"]["storage"]]


def _width(config: dict, cache: Cache, speeds: dict[str, Speed]) -> int | None:
    """Of an encoder's vectors: measured, or as its preset says."""
    if speed := speeds.get(cache.encoder):
        return speed.image_width if cache.kind == "images" else speed.text_width
    preset = config["encoders"][cache.encoder].get("preset")
    return presets.read()[preset]["width"] if preset else None


def _activation_bytes(config: dict, cache: Cache, speeds: dict[str, Speed]) -> int | None:
    speed, settings = speeds.get(cache.encoder), config["activations"]
    numbers = speed and speed.tokens.get(cache.blocks)
    if not settings["cache"]:
        return 0
    if cache.kind != "images" or cache.items is None or not numbers:
        return None
    return cache.items * cache.turns * numbers * BYTES[settings["storage"]]


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    folder = Path(os.path.abspath(folder))
    return next(place for place in (folder, *folder.parents) if place.exists())


def volume(size: float) -> str:
    """Bytes in words."""
    return f"{size / 1e9:.3g} GB" if size >= 1e8 else f"{size / 1e6:.3g} MB"


def duration(seconds: float) -> str:
    """A time in words, of two units at most."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
