import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tidemill import records
from tidemill.records import Decision, MetricValue, Record, SnapshotRef, Verdict

SNAPSHOT = SnapshotRef(
    model="m",
    purpose="score",
    partition="2013-07-01",
    digest="a" * 64,
    uri="m/snapshots/a",
    n_rows=3,
    size_bytes=9,
    start=datetime(2013, 7, 1, 4, tzinfo=UTC),
    end=datetime(2013, 7, 2, 4, tzinfo=UTC),
    cutoff=datetime(2013, 7, 1, 9, tzinfo=UTC),
    query_digest="b" * 64,
)


def test_a_record_comes_back_from_its_dict() -> None:
    assert SnapshotRef.from_dict(SNAPSHOT.to_dict()) == SNAPSHOT


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="n_raws"):
        SnapshotRef.from_dict(SNAPSHOT.to_dict() | {"n_raws": 3})


@given(st.floats(allow_nan=False))
def test_a_figure_comes_back_exactly(value: float) -> None:
    metric = MetricValue(name="x", value=value)
    assert MetricValue.from_dict(metric.to_dict()) == metric


def test_nan_travels_as_a_word_because_json_has_none() -> None:
    dumped = MetricValue(name="x", value=math.nan).to_dict()
    assert dumped["value"] == "NaN"
    assert math.isnan(MetricValue.from_dict(dumped).value)


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.NOT_ENOUGH_EVIDENCE])
def test_only_accept_counts_as_accepted(verdict: Verdict) -> None:
    assert not Decision(kind="accept", verdict=verdict, reasons=()).accepted


def test_every_record_is_exported() -> None:
    defined = {name for name, item in vars(records).items() if isinstance(item, type) and issubclass(item, Record)}
    assert defined <= set(records.__all__)
