from hypothesis import given
from hypothesis import strategies as st

from tidemill.steps.predict.shards import cut


@given(st.integers(0, 10**9), st.integers(10**6, 10**9))
def test_shards_follow_each_other_and_hold_every_row_once(n_rows: int, shard_rows: int) -> None:
    shards = cut(n_rows, shard_rows)
    assert [0, *(shard.stop for shard in shards)] == [*(shard.start for shard in shards), n_rows]


@given(st.integers(1, 10**9), st.integers(10**6, 10**9))
def test_shards_are_about_equally_long_and_none_too_long(n_rows: int, shard_rows: int) -> None:
    lengths = [shard.stop - shard.start for shard in cut(n_rows, shard_rows)]
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) <= shard_rows


def test_no_rows_are_one_empty_shard() -> None:
    assert [(shard.start, shard.stop) for shard in cut(0, 5)] == [(0, 0)]
