"""Sections about alerts: which rules count as what, and which channels are told."""

from typing import Annotated

from pydantic import Field, field_validator

from tidemill.records import Severity
from tidemill.spec.kinds import Name, Part

__all__ = ["PERSISTENCE", "RULES", "AlertChannel", "Rule", "parse_persistence"]

RULES = (
    "drift", "score_drift", "break", "nulls", "unseen", "quality", "label_coverage", "unknown", "slow", "memory", "growth",
    "missing", "volume", "age", "schema", "dependencies", "estimate", "change", "skew",
)  # fmt: skip
"""Families of rules; an alert of the family ``nulls`` is named ``nulls:<feature>``."""

PERSISTENCE = r"^[1-9]\d? of [1-9]\d?$"
"""How many of the newest partitions, such as ``3 of 5``."""


def parse_persistence(value: str) -> tuple[int, int]:
    """Read ``N of M``.

    Raises
    ------
    ValueError
        If it can never be met.

    Examples
    --------
    >>> parse_persistence("3 of 5")
    (3, 5)
    """
    n, of = (int(number) for number in value.split(" of "))
    if n > of:
        raise ValueError(f"'{value}' can never be met; write such as '3 of 5'")
    return n, of


class Rule(Part):
    """What a family of rules counts as; what is left out is the family's own."""

    severity: Severity | None = None
    """``fail`` needs action today, ``warn`` a look; left out, it depends on the figures."""
    persistence: Annotated[str, Field(pattern=PERSISTENCE)] | None = None
    """In how many of the newest partitions it has to be found before an alert opens."""
    owner: str = ""
    """Who answers for it, if not the model's owner."""

    @field_validator("persistence")
    @classmethod
    def _can_be_met(cls, value: str | None) -> str | None:
        if value is not None:
            parse_persistence(value)
        return value


class AlertChannel(Part):
    """Who is told of alerts, by a channel whose address is not in the spec."""

    channel: Name
    """Airflow connection id, or ``TIDEMILL_ALERT_<NAME>`` with a URL."""
    severity: Severity = Severity.WARN
    """Least severity that is told."""
