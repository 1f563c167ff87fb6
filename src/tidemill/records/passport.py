"""What travels with a release from one environment to the next: everything that is known about it, and of which files."""

from dataclasses import dataclass
from datetime import datetime

from tidemill.records.data import SnapshotRef
from tidemill.records.figures import Decision, Record
from tidemill.records.models import EvaluationReport

__all__ = ["Passport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passport(Record):
    """A release, as the ledger that it comes from knows it."""

    protocol: int
    """Version of the archive's layout."""
    ledger: str
    """Hash of the first row of that ledger's audit: no two ledgers have the same."""
    release_id: int
    """Its number there."""
    model: str
    """Name of the model."""
    partition: str
    """Partition as of which it was trained."""
    evaluation: EvaluationReport
    """The evidence, its bundle among it."""
    champion_digest: str | None
    """Digest of the bundle that it was compared with there; None if with none."""
    decision: Decision
    """What the gate said there."""
    approvals: tuple[Decision, ...]
    """What people said about it there."""
    deployments: tuple[str, ...]
    """When it served there, by whose word and why; one sentence each."""
    snapshot: SnapshotRef
    """Training snapshot; its rows stay where they are."""
    split_digest: str
    """Digest of the three sets."""
    metric: str
    """Acceptance metric."""
    metric_value: float
    """Its figure on the test set."""
    learnt_until: datetime
    """Start of the test set."""
    known_until: datetime
    """Cutoff of the training."""
    spec_digest: str
    """Digest of the spec."""
    code_version: str
    """Version of the code."""
    lock_digest: str
    """Digest of the packages."""
    requested_by: str
    """Who asked for the training by hand."""
    documents: dict[str, str]
    """Text of the spec, the queries and the packages, by kind, as far as they were kept."""
    files: dict[str, str]
    """SHA-256 of each file of the archive, by its name there."""
