"""From evidence to points: pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tidemill.records import Evidence, LineScore
from tidemill.score.lines import Line
from tidemill.spec import Attestation, ModelSpec

__all__ = ["Standard", "score_line"]

HALF = 0.5  # points of an attestation


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """A model, and the instant at which evidence and attestations must be valid."""

    spec: ModelSpec
    now: datetime

    @property
    def partition(self) -> timedelta:
        """Length of the partition around the instant."""
        interval = self.spec.partitions.every.containing(self.now, self.spec.timezone).interval
        return interval.end - interval.start

    def attestation(self, line: Line) -> Attestation | None:
        """Return the valid attestation of a line, if any."""
        found = self.spec.attest.get(line.name)
        today = self.now.astimezone(ZoneInfo(self.spec.timezone)).date()
        return found if found is not None and found.counts_on(today) else None

    def end_of(self, attestation: Attestation) -> datetime:
        """Return the first instant at which an attestation is no longer valid."""
        return self.spec.local_midnight(attestation.until + timedelta(days=1))


def score_line(line: Line, evidence: Sequence[Evidence], standard: Standard) -> LineScore:
    """Return a line with its points.

    With fresh evidence for all of the line's needs, it has the points of the weakest evidence. Otherwise an
    attestation counts half a point, unless fresh evidence shows the contrary.

    Parameters
    ----------
    evidence : sequence of Evidence
        At most one row per need.
    """
    needs = {need.name: need for need in line.needs}
    stale_from = {row.need: row.at + needs[row.need].fresh_for(standard.partition) for row in evidence}
    fresh = [row for row in evidence if standard.now < stale_from[row.need]]
    contrary = [row.shows for row in fresh if not row.worth]
    complete = bool(needs) and len(fresh) == len(needs)
    attestation = standard.attestation(line)
    points, until, next_half = 0.0, None, line.first_half
    if contrary:
        reason = f"the contrary is on record: {'; '.join(contrary)}"
    elif complete:
        points, until = min(row.worth for row in fresh), min(stale_from.values())
        reason, next_half = "; ".join(row.shows for row in fresh), "" if points == 1 else line.second_half
    elif attestation is not None:
        points, until, next_half = HALF, standard.end_of(attestation), line.first_half or line.second_half
        reason = f"{attestation.by} on {attestation.signed}: {attestation.says}"
    else:
        reason = _why_not(line, evidence, fresh)
        next_half = "; or ".join(filter(None, [line.first_half, f"sign attest.{line.name} in the spec"]))
    return LineScore(
        line=line.name,
        section=line.section,
        title=line.title,
        points=points,
        reason=reason,
        evidence=tuple(evidence),
        stale_from=until,
        next_half=next_half.format(model=standard.spec.model),
    )


def _why_not(line: Line, evidence: Sequence[Evidence], fresh: Sequence[Evidence]) -> str:
    """Return what a line lacks."""
    known, counting = ({row.need for row in rows} for rows in (evidence, fresh))
    missing = [f"not on record: {need.what}" for need in line.needs if need.name not in known]
    stale = [f"too old: {need.what}" for need in line.needs if need.name in known - counting]
    return "; ".join([*missing, *stale]) or "the platform records nothing for this line"
