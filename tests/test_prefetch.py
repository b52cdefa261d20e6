"""Batches are prepared ahead, come in order, and results come back one batch late."""

import threading
import time

import pytest
import torch

from histopair.images.prefetch import Lane, ahead, late, overlapped
from histopair.jobs import idle

CPU = torch.device("cpu")


def until(holds):
    """Wait until `holds()`; a minute, as a busy machine is no failure."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_parts_come_in_order_and_no_more_than_so_many_ahead(depth):
    """Preparing takes less and less time, so that later parts are ready first."""
    begun, ahead_of_consumer = [], []

    def prepare(part):
        begun.append(part)
        time.sleep(0.02 / (1 + part))
        return part * 10

    for number, result in enumerate(overlapped(prepare, range(12), depth)):
        assert result == number * 10
        submitted = min(number + 1 + depth, 12)
        until(lambda submitted=submitted: len(begun) == submitted)
        time.sleep(0.01)  # time to begin one too many
        ahead_of_consumer.append(len(begun) - number - 1)
    assert max(ahead_of_consumer) == depth


def test_a_slow_consumer_never_waits_for_parts_that_are_ready():
    ready = [threading.Event() for _ in range(6)]

    def prepare(part):
        ready[part].set()
        return part

    for part in overlapped(prepare, range(6), 3):
        if part < 5:
            assert ready[part + 1].wait(60)  # prepared while this one is at work


def test_an_error_comes_where_its_part_would():
    def prepare(part):
        if part == 2:
            raise ValueError("part 2")
        return part

    results = overlapped(prepare, range(5), 3)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="part 2"):
        next(results)


def test_a_consumer_that_stops_leaves_nothing_running():
    begun, others = [], threading.active_count()
    results = overlapped(lambda part: begun.append(part) or part, range(100), 3)
    next(results)
    results.close()
    until(lambda: threading.active_count() == others)
    assert len(begun) <= 4


def test_the_processor_prepares_and_computes_in_turn():
    begun = []
    results = ahead(lambda part: begun.append(part) or part, range(5), CPU, depth=3)
    assert next(results) == 0 and begun == [0]


def test_a_result_is_taken_after_the_next_was_asked_for():
    asked = []

    def results():
        for number in range(4):
            asked.append(number)
            yield torch.tensor(number)

    at_hand = [(int(result), list(asked)) for result in late(results())]
    assert [number for number, _ in at_hand] == [0, 1, 2, 3]
    assert [max(known) for _, known in at_hand] == [1, 2, 3, 3]


def test_a_lane_carries_rows_as_a_batch():
    rows = torch.arange(12, dtype=torch.uint8).view(3, 2, 2)
    lane = Lane(CPU)
    assert torch.equal(lane.receive(lane.send(rows.unbind())), rows)


def test_the_share_of_time_that_a_device_waits(monkeypatch):
    moments = iter([0.0, 1.0, 4.0, 4.5, 7.5, 9.5, 10.0])  # waits 1, 0.5 and 2 of 10 seconds
    monkeypatch.setattr(idle.time, "perf_counter", lambda: next(moments))
    clock = idle.Idle(CPU)
    assert clock.rate() == {}
    for _ in range(3):
        with clock.computing(20):
            pass
    assert clock.rate() == {"per_second": 6.0, "waited": pytest.approx(0.35)}
