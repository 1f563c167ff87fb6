"""The record that accompanies a release to another environment: its evidence, history and files."""

from dataclasses import dataclass
from datetime import datetime

from tidemill.records.data import SnapshotRef
from tidemill.records.figures import Decision, Record
from tidemill.records.models import EvaluationReport

__all__ = ["Passport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passport(Record):
    """A release as recorded in its source ledger."""

    protocol: int
    """Version of the archive's layout."""
    ledger: str
    """Hash of the first audit row of the source ledger, unique per ledger."""
    release_id: int
    """Its number in the source ledger."""
    model: str
    partition: str
    """Partition as of which it was trained."""
    evaluation: EvaluationReport
    """The evidence, including its bundle."""
    champion_digest: str | None
    """Digest of the champion's bundle it was compared with; None without one."""
    decision: Decision
    """Decision of the source's gate."""
    approvals: tuple[Decision, ...]
    """Decisions of people at the source."""
    deployments: tuple[str, ...]
    """Promotions at the source with time, approver and reason; one sentence each."""
    snapshot: SnapshotRef
    """Training snapshot; its rows are not transferred."""
    split_digest: str
    """Digest of the three sets."""
    metric: str
    """Acceptance metric."""
    metric_value: float
    """Acceptance metric on the test set."""
    learnt_until: datetime
    """Start of the test set."""
    known_until: datetime
    """Cutoff of the training."""
    spec_digest: str
    code_version: str
    lock_digest: str
    requested_by: str
    """Person who started the training manually."""
    documents: dict[str, str]
    """Text of the spec, the queries and the packages by kind, where stored."""
    files: dict[str, str]
    """SHA-256 of each file in the archive, by its path."""
