"""What rules ask of a scheduler."""

import pytest

from histopair.plan import resources


@pytest.mark.parametrize(
    ("most", "asked"),
    [(None, [5500, 11000, 16500]), (8000, [5500, 8000, 8000]), (4000, [4000, 4000, 4000])],
)
def test_a_retry_asks_for_as_much_memory_again_and_never_for_more_than_a_node_has(most, asked):
    mem_mb = resources.growing(5500, most)
    assert [mem_mb(None, attempt) for attempt in (1, 2, 3)] == asked
