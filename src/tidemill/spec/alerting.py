"""Sections about alerts: severity and persistence of rules, and the channels to notify."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from tidemill.records import Severity
from tidemill.spec.kinds import Line, Name, Part

__all__ = ["PERSISTENCE", "RULES", "AlertChannel", "Rule", "parse_persistence"]

RULES = (
    "drift", "score_drift", "break", "nulls", "unseen", "quality", "label_coverage", "unknown", "slow", "memory", "growth",
    "missing", "volume", "age", "schema", "dependencies", "estimate", "change", "skew",
    "late", "agreement", "withheld", "set_aside",
)  # fmt: skip
"""Families of rules; an alert of the family ``nulls`` is named ``nulls:<feature>``."""

PERSISTENCE = r"^[1-9]\d? of [1-9]\d?$"
"""Pattern of a persistence, for example ``3 of 5`` partitions."""


def parse_persistence(value: str) -> tuple[int, int]:
    """Parse ``N of M``.

    Raises
    ------
    ValueError
        If N is greater than M.

    Examples
    --------
    >>> parse_persistence("3 of 5")
    (3, 5)
    """
    n, of = (int(number) for number in value.split(" of "))
    if n > of:
        raise ValueError(f"'{value}' can never be met; write, for example, '3 of 5'")
    return n, of


class Rule(Part):
    """Severity, persistence and owner of a family of rules; a key left out keeps the family's default."""

    severity: Literal[Severity.FAIL, Severity.WARN] | None = None
    """``fail``: act today; ``warn``: review. Left out, it depends on the figures."""
    persistence: Annotated[str, Field(pattern=PERSISTENCE)] | None = None
    """Number of the newest partitions in which it must be found before an alert opens."""
    owner: Line = ""
    """Person or team responsible, if not the model's owner."""

    @field_validator("persistence")
    @classmethod
    def _can_be_met(cls, value: str | None) -> str | None:
        if value is not None:
            parse_persistence(value)
        return value


class AlertChannel(Part):
    """A channel that receives alerts; its address is not in the spec."""

    channel: Name
    """Airflow connection id, or ``TIDEMILL_ALERT_<NAME>`` with a URL."""
    severity: Literal[Severity.FAIL, Severity.WARN] = Severity.WARN
    """Lowest severity that is sent."""
