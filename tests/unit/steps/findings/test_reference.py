"""A stored table counted batch by batch, whole or in evenly spaced parts."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tidemill.errors import SchemaChanged
from tidemill.monitoring.profile import build_profile, count_table
from tidemill.steps.findings import reference as counting
from tidemill.storage.tables import table_writer

N_ROWS, GROUP = 1000, 100
ROWS = pa.table(
    {
        "place": np.arange(N_ROWS),
        "km": np.random.default_rng(0).normal(size=N_ROWS),
        "carrier": pa.array([None if number % 9 == 0 else "AB"[number % 2] for number in range(N_ROWS)]),
    }
)
REFERENCE = build_profile(ROWS.slice(0, 600), ["place", "km"], ["carrier"])


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(counting, "GROUP_ROWS", GROUP)
    monkeypatch.setattr(counting, "BATCH_ROWS", 70)
    path = tmp_path / "features.parquet"
    with table_writer(path, ROWS.schema) as writer:
        for start in range(0, N_ROWS, GROUP):
            writer.write_table(ROWS.slice(start, GROUP))
    return path


@pytest.mark.parametrize("most_rows", [None, N_ROWS, 2 * N_ROWS])
def test_batches_count_what_the_whole_table_counts(stored: Path, most_rows: int | None) -> None:
    for found, expected in zip(
        counting.count_features(stored, REFERENCE, most_rows), count_table(REFERENCE, ROWS), strict=True
    ):
        assert (found.counts, found.n, found.n_null, found.n_unseen, found.minimum, found.maximum) == (
            expected.counts, expected.n, expected.n_null, expected.n_unseen, expected.minimum, expected.maximum,
        )  # fmt: skip
        if expected.mean is not None:
            assert (found.mean, found.std) == pytest.approx((expected.mean, expected.std), rel=1e-12)


def test_a_longer_table_is_counted_in_evenly_spaced_groups(stored: Path) -> None:
    (found,) = counting.count_features(stored, REFERENCE[:1], 500)
    groups = np.concatenate([np.arange(start, start + GROUP) for start in range(0, N_ROWS, 2 * GROUP)])
    (expected,) = count_table(REFERENCE[:1], pa.table({"place": groups}))
    assert (found.counts, found.n) == (expected.counts, 500)


def test_an_empty_table_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "empty.parquet"
    with table_writer(path, ROWS.schema):
        pass
    assert [found.n for found in counting.count_features(path, REFERENCE)] == [0, 0, 0]


def test_a_missing_column_is_named(stored: Path) -> None:
    other = build_profile(pa.table({"wind": [1.0, 2.0]}), ["wind"], [])
    with pytest.raises(SchemaChanged, match="wind"):
        counting.count_features(stored, other)
