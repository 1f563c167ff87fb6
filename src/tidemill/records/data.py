"""Records about data: a snapshot, its contract results, its profile and its split."""

from dataclasses import dataclass, field
from datetime import datetime

from tidemill.records.figures import Record, Severity

__all__ = ["CheckReport", "CheckResult", "ProfileRef", "Readiness", "SnapshotRef", "SplitRef"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness(Record):
    """Whether a run may begin."""

    ready: bool
    """Whether the data are ready."""
    reason: str
    """Why they are not; empty if they are."""
    deadline: datetime | None
    """Instant from which the run is late; None without ``predict.by``."""
    late: bool
    """Whether the deadline has passed and the data are not ready."""
    outcome: str
    """``start``, ``wait`` or ``skip``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRef(Record):
    """An immutable data set on the artifact store."""

    model: str
    """Name of the model, e.g. ``flight_delays``."""
    purpose: str
    """``train`` (many partitions, with labels), ``score`` (one partition) or ``labels``."""
    partition: str
    """Key of the target partition, e.g. ``2013-07-01``."""
    digest: str
    """SHA-256 of the content, 64 hexadecimal digits; also the folder's name."""
    uri: str
    """Folder, relative to the storage root, e.g. ``flight_delays/snapshots/ab12…``."""
    n_rows: int
    """Feature rows."""
    size_bytes: int
    """Total size of all files."""
    start: datetime
    """First instant of the data, inclusive."""
    end: datetime
    """First instant after the data."""
    cutoff: datetime
    """Instant as of which the newest partition's features, and all labels, are known."""
    query_digest: str
    """SHA-256 of the executed SQL."""
    n_set_aside: int = 0
    """Rows that the source returned and that broke an expectation of severity ``quarantine``; not among ``n_rows``."""
    rounded: dict[str, int] = field(default_factory=dict)
    """Values of each ``numeric`` column that lose digits as a double; not kept in the ledger."""
    inputs: dict[str, str] = field(default_factory=dict)
    """SHA-256 of what was staged of each input, by name; not kept in the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult(Record):
    """Result of one expectation on one snapshot."""

    expectation: str
    """Great Expectations name, e.g. ``expect_column_values_to_not_be_null``."""
    column: str | None
    """Column it applies to, or None for the whole table."""
    severity: Severity
    """``fail`` stops the run, ``warn`` is recorded, ``quarantine`` sets the rows aside."""
    success: bool
    """True if the expectation holds."""
    observed: str
    """Observed result in words, e.g. ``12 of 966 values are null``."""
    n_unexpected: int = 0
    """Rows that break the expectation."""
    failure_cases: tuple[str, ...] = ()
    """Up to 10 offending values, as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport(Record):
    """Results of a contract on one snapshot."""

    snapshot_digest: str
    n_expectations: int
    """Expectations evaluated."""
    n_failed: int
    """Broken expectations of severity ``fail``."""
    n_warned: int
    """Broken expectations of severity ``warn``."""
    report_uri: str
    """HTML page, relative to the storage root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRef(Record):
    """The profile of a training snapshot."""

    snapshot_digest: str
    uri: str
    """Folder with the page and its pictures, relative to the storage root."""
    n_columns: int
    """Columns profiled."""
    findings: tuple[str, ...]
    """Findings that need attention, one sentence each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRef(Record):
    """A training snapshot cut by time, or by a hash of the key, into train, validation and test."""

    snapshot_digest: str
    """Digest of the snapshot that was cut."""
    digest: str
    """SHA-256 of the three sets."""
    uri: str
    """Folder, relative to the storage root."""
    n_train: int
    """Labelled rows for fitting."""
    n_validation: int
    """Labelled rows for model selection."""
    n_test: int
    """Labelled rows used for neither fitting nor selection."""
    n_unlabelled: int
    """Rows left out because no label was known at the cutoff."""
    n_immature: int
    """Rows left out because their partition had not matured at the cutoff."""
    n_set_aside: int = 0
    """Rows left out because they broke an expectation of severity ``quarantine``."""
    n_purged: int = 0
    """Rows left out because their label was not known when the next set begins."""
    n_labels: int = 0
    """Labels known at the cutoff; 0 in older records."""
    n_unmatched_labels: int = 0
    """Known labels whose key belongs to no row."""
    n_near_matches: int = 0
    """Unlabelled rows whose key differs from that of an unmatched label only in blanks, case, leading zeros or ``.0``."""
    with_gaps: tuple[str, ...] = ()
    """Features without any value in at least one whole partition of the train set."""
    strong_columns: tuple[str, ...] = ()
    """A sentence about each column that predicts the label very well by itself and is not in ``train.known_ahead``."""
    by_key: bool = False
    """Whether rows have no time, so that a hash of the key cut the sets; their instants then only give the order of folds."""
    train_start: datetime
    """First instant of the train set."""
    validation_start: datetime
    """First instant of the validation set."""
    test_start: datetime
    """First instant of the test set."""
    test_end: datetime
    """First instant after the test set."""

    @property
    def unlabelled_share(self) -> float:
        """Share of the rows of the three sets that have no label, 0 to 1."""
        return self._share_of_rows(self.n_unlabelled)

    @property
    def near_match_share(self) -> float:
        """Share of the rows of the three sets whose key nearly matches that of a label, 0 to 1."""
        return self._share_of_rows(self.n_near_matches)

    def _share_of_rows(self, n_rows: int) -> float:
        return n_rows / (self.n_unlabelled + self.n_train + self.n_validation + self.n_test)

    @property
    def unmatched_label_share(self) -> float | None:
        """Share of the known labels whose key belongs to no row, 0 to 1; None in older records."""
        return self.n_unmatched_labels / self.n_labels if self.n_labels else None
