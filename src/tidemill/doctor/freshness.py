"""Freshness: whether every partition that was due has been published, by the ledger and a clock, not by Airflow."""

from collections.abc import Collection, Mapping
from datetime import datetime

from tidemill.doctor.findings import Finding, Health
from tidemill.spec import ModelSpec
from tidemill.spec.due_partitions import judge_timeliness

__all__ = ["check_freshness"]


def check_freshness(
    spec: ModelSpec, known: Mapping[str, bool], serves: bool, as_of: datetime, *, withheld: Collection[str] = ()
) -> Finding:
    """Return the finding on a model's timeliness; the parameters are those of `judge_timeliness`."""
    found = judge_timeliness(spec, known, serves, as_of, withheld=withheld)
    return Finding(
        check="freshness",
        subject=spec.model,
        severity=Health(found.severity or Health.OK),
        message=found.message,
        remedy=found.remedy,
    )
