"""Records about releases that score in the shadow of the one that serves."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tidemill.records.figures import Record

__all__ = ["Role", "Shadow", "ShadowRef"]


class Role(StrEnum):
    """What a release in the shadow is compared for."""

    CHALLENGER = "challenger"
    """It may become the champion."""
    PREDECESSOR = "predecessor"
    """It was the champion, and may become it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow(Record):
    """A release that scores beside the champion, into runs that no view shows."""

    shadow_id: int
    """Row in ``tidemill.shadow``."""
    release_id: int
    """Release that scores in the shadow."""
    against: int
    """Champion that it is compared with."""
    role: Role
    """What it is compared for."""
    decision_id: int | None
    """Judgement of the challenger that it rests on; None for a predecessor."""
    start: datetime
    """First cutoff of the partitions that it scores."""
    end: datetime
    """First cutoff after them."""
    margin: float
    """Loss of the acceptance metric that is tolerated."""

    def covers(self, cutoff: datetime) -> bool:
        """Whether a partition with this cutoff is scored."""
        return self.start <= cutoff < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRef(Record):
    """The outcome of ``shadow``."""

    shadow: Shadow | None
    """What scores in the shadow now, if anything."""
    scored: tuple[str, ...] = ()
    """Partitions that it has just scored."""
    measured: tuple[str, ...] = ()
    """Partitions whose labels have just been compared."""
    n_rows: int = 0
    """Rows scored."""
