"""Points follow from evidence by the rubric alone, whatever the line."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from tidemill.intervals import Every
from tidemill.records import Evidence, Scorecard, ScoreLine, ScoreSection
from tidemill.score.lines import LINES, Line
from tidemill.score.points import Standard, score_line
from tidemill.spec import Attestation, ModelSpec, Partitions

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
RECORDED = [line for line in LINES if line.needs]
SPEC = ModelSpec.model_validate(
    {
        "model": "tiny", "task": "binary", "entity_key": "id", "event_time": "at",
        "source": {"features": "tiny/features.sql", "labels": "tiny/labels.sql"}, "label": {"column": "y"},
    }
)  # fmt: skip


def standard(**spec: object) -> Standard:
    return Standard(spec=SPEC.model_copy(update=spec), now=NOW)


def attested(line: Line, signed: date = date(2026, 11, 1), until: date = date(2026, 12, 31)) -> Standard:
    return standard(attest={line.name: Attestation(by="jo", signed=signed, until=until, says="looked at")})


def full(line: Line, *, worth: float = 1, age: timedelta = timedelta()) -> list[Evidence]:
    return [
        Evidence(need=need.name, kind="run", row_id="1", at=NOW - age, worth=worth, shows=f"{need.name} found")
        for need in line.needs
    ]


def points(line: Line, evidence: Sequence[Evidence], by: Standard | None = None) -> float:
    return score_line(line, evidence, by or standard()).points


def test_the_rubric_has_seven_lines_in_each_of_four_sections() -> None:
    assert [line.name for line in LINES] == list(ScoreLine)
    assert [line.section for line in LINES] == [section for section in ScoreSection for _ in range(7)]


@pytest.mark.parametrize("line", RECORDED, ids=lambda line: line.name)
def test_a_line_has_the_points_of_its_weakest_evidence(line: Line) -> None:
    evidence = full(line)
    assert points(line, evidence) == 1
    for row in evidence:
        weaker = [replace(item, worth=0.5) if item is row else item for item in evidence]
        assert points(line, weaker) == 0.5


@pytest.mark.parametrize("line", RECORDED, ids=lambda line: line.name)
def test_a_line_without_one_of_its_needs_has_no_points_and_names_it(line: Line) -> None:
    evidence = full(line)
    for row, need in zip(evidence, line.needs, strict=True):
        found = score_line(line, [item for item in evidence if item is not row], standard())
        assert (found.points, found.stale_from) == (0, None)
        assert f"not on record: {need.what}" in found.reason


@pytest.mark.parametrize("line", RECORDED, ids=lambda line: line.name)
def test_a_line_loses_its_points_when_its_first_evidence_becomes_too_old(line: Line) -> None:
    limits = [need.fresh_for(DAY) for need in line.needs]
    found = score_line(line, full(line), standard())
    assert found.stale_from == NOW + min(limits)
    assert points(line, full(line, age=min(limits) - timedelta(seconds=1))) == 1
    late = score_line(line, full(line, age=min(limits)), standard())
    assert (late.points, "too old" in late.reason) == (0, True)


def test_evidence_about_partitions_of_a_monthly_model_is_fresh_for_three_months() -> None:
    line = next(item for item in LINES if item.name is ScoreLine.SKEW)
    monthly = standard(partitions=Partitions(every=Every.MONTH))
    assert points(line, full(line, age=89 * DAY), monthly) == 1  # November has 30 days
    assert points(line, full(line, age=91 * DAY), monthly) == 0


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_an_attestation_is_worth_half_a_point_from_its_signature_to_its_last_day(line: Line) -> None:
    today = NOW.date()
    assert points(line, [], attested(line)) == 0.5
    assert points(line, [], attested(line, signed=today)) == 0.5
    assert points(line, [], attested(line, until=today)) == 0.5
    assert points(line, [], attested(line, signed=today + DAY)) == 0
    assert points(line, [], attested(line, until=today - DAY)) == 0


@pytest.mark.parametrize("line", RECORDED, ids=lambda line: line.name)
def test_an_attestation_fills_a_gap_and_outvotes_nothing(line: Line) -> None:
    by = attested(line)
    for evidence in (full(line, worth=0), full(line, worth=0)[:1]):
        found = score_line(line, evidence, by)
        assert (found.points, found.reason.partition(":")[0]) == (0, "the contrary is on record")
    assert points(line, full(line, age=400 * DAY), by) == 0.5
    assert points(line, full(line, worth=0, age=400 * DAY), by) == 0.5
    assert points(line, full(line), by) == 1


def test_an_attestation_expires_at_midnight_of_the_model_s_own_time_zone() -> None:
    line = LINES[0]
    by = attested(line, until=date(2026, 11, 30))
    by = replace(by, spec=by.spec.model_copy(update={"timezone": "America/New_York"}))
    assert score_line(line, [], by).stale_from == datetime(2026, 12, 1, 5, tzinfo=UTC)
    assert points(line, [], replace(by, now=datetime(2026, 12, 1, 4, 59, tzinfo=UTC))) == 0.5
    assert points(line, [], replace(by, now=datetime(2026, 12, 1, 5, tzinfo=UTC))) == 0


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_line_names_the_next_half_point_unless_it_has_all(line: Line) -> None:
    assert score_line(line, [], standard()).next_half
    assert score_line(line, [], attested(line)).next_half
    if line.needs:
        assert score_line(line, full(line), standard()).next_half == ""
        assert "{" not in score_line(line, full(line, worth=0), standard()).next_half


def test_the_score_is_the_smallest_of_the_sections_sums() -> None:
    lines = tuple(score_line(line, full(line), standard()) for line in LINES)
    card = Scorecard(model="tiny", as_of=NOW, lines=lines)
    assert card.points == {"data": 6, "model": 7, "infrastructure": 7, "monitoring": 7}
    assert card.score == 6
