"""Every error that Tidemill raises on purpose, grouped by what the caller should do.

::

    TidemillError
    ├── FatalError                 the same input fails again: do not retry
    │   ├── SpecError              a model's YAML or SQL is wrong
    │   ├── SettingsError          a connection, folder or variable is missing
    │   ├── PartitionError         a key is malformed, or outside the model's data
    │   ├── SchemaChanged          the source lacks something that the spec needs
    │   ├── NotReady               a partition's data are not complete
    │   ├── EmptyPartition         the query returned no row
    │   ├── ContractBroken         an expectation of severity ``fail`` does not hold
    │   ├── LeakageFound           a feature depends on the future
    │   ├── NotTrainable           too few rows, or a single class
    │   ├── ArtifactCorrupt        a snapshot or bundle is not what its digest says
    │   ├── IncompatibleVersions   a bundle or the installation has untested versions
    │   ├── NoChampion             nothing has been promoted yet
    │   ├── NotApproved            the gate or a person has not agreed
    │   ├── FormRefused            a form of the console was not made for who sends it
    │   ├── ActionImpossible       Airflow would not carry out what a person asks for
    │   ├── ReleaseFromTheFuture   a release saw data after the partition's cutoff
    │   ├── NotPublished           a partition has no published predictions
    │   ├── StaleAttempt           a newer attempt has claimed the partition
    │   ├── IncompletePublish      rows written differ from rows extracted
    │   ├── LostRace               another promotion came first
    │   ├── RetrainingFailed       a training was due but reached no verdict
    │   ├── ExplanationFailed      a score is not reproduced, or its parts do not sum to it
    │   ├── StorageFull            no room left for an artifact or for rows
    │   ├── StorageRefused         the object store does not let this account do what is needed
    │   ├── OutOfMemory            a step needs more memory than it may have
    │   └── StackError             the local stack cannot do what was asked
    └── TransientError             the same input may work later: retry with back-off
        ├── SourceUnavailable      an input's files cannot be reached, or are not whole
        ├── WarehouseUnavailable   Postgres cannot be reached, or cut the connection
        ├── StorageUnavailable     the object store cannot be reached, or cut the connection
        ├── OutOfTime              a step exceeded its time limit
        ├── ClusterUnavailable     the Dask cluster cannot be reached, or has lost a worker
        ├── TrackingUnavailable    MLflow cannot be reached
        └── ChannelUnavailable     a channel does not take a message about alerts

``tidemill_airflow.retry`` maps the two branches to Airflow's retry policy. Mistakes in
Tidemill's own code stay ``ValueError`` and ``TypeError``.
"""

__all__ = [
    "ActionImpossible",
    "ArtifactCorrupt",
    "ChannelUnavailable",
    "ClusterUnavailable",
    "ContractBroken",
    "EmptyPartition",
    "ExplanationFailed",
    "FatalError",
    "FormRefused",
    "IncompatibleVersions",
    "IncompletePublish",
    "LeakageFound",
    "LostRace",
    "NoChampion",
    "NotApproved",
    "NotPublished",
    "NotReady",
    "NotTrainable",
    "OutOfMemory",
    "OutOfTime",
    "PartitionError",
    "ReleaseFromTheFuture",
    "RetrainingFailed",
    "SchemaChanged",
    "SettingsError",
    "SourceUnavailable",
    "SpecError",
    "StackError",
    "StaleAttempt",
    "StorageFull",
    "StorageRefused",
    "StorageUnavailable",
    "TidemillError",
    "TrackingUnavailable",
    "TransientError",
    "WarehouseUnavailable",
    "first_line",
]


class TidemillError(Exception):
    """A problem and the next step.

    Parameters
    ----------
    problem : str
        Subject, expected and found, as a full sentence.
    next_step : str
        What the reader can do, as a full sentence.

    Examples
    --------
    >>> print(EmptyPartition("Partition '2014-01-01' has no rows.", "Load the source first."))
    Partition '2014-01-01' has no rows. Load the source first.
    """

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem, next_step)  # both, so that the error survives serialization
        self.problem = problem
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.problem}{chr(10) if chr(10) in self.problem else ' '}{self.next_step}"


class FatalError(TidemillError):
    """The same input fails again; a retry is useless."""


class TransientError(TidemillError):
    """The same input may work later; retry with back-off."""


class SpecError(FatalError):
    """A model's YAML file or SQL is wrong."""


class SettingsError(FatalError):
    """A connection, a folder or an environment variable is missing or malformed."""


class PartitionError(FatalError):
    """A partition key is malformed, or lies outside the model's data."""


class SchemaChanged(FatalError):
    """The source no longer has a table or column that the spec's SQL reads."""


class NotReady(FatalError):
    """The ready query says that a partition's data are not complete yet."""


class EmptyPartition(FatalError):
    """The features query returned no row for a partition that should have some."""


class ContractBroken(FatalError):
    """At least one expectation of severity ``fail`` does not hold."""


class LeakageFound(FatalError):
    """A feature depends on what is only known in the future."""


class NotTrainable(FatalError):
    """The training set cannot teach anything: too few rows, or a single class."""


class ArtifactCorrupt(FatalError):
    """A stored snapshot or bundle is not what its digest says."""


class IncompatibleVersions(FatalError):
    """A bundle was made with, or runs on, versions that were not tested together."""


class NoChampion(FatalError):
    """No release of the model has been promoted yet."""


class NotApproved(FatalError):
    """A release lacks the approval of the gate or of an entitled person."""


class FormRefused(FatalError):
    """A form of the console comes from elsewhere, is too old, or was made for another person or action."""


class ActionImpossible(FatalError):
    """Airflow would not carry out what a person asks for in the console, or already does."""


class ReleaseFromTheFuture(FatalError):
    """A release was trained on data from after the cutoff of the partition to be scored."""


class NotPublished(FatalError):
    """The partition has no published predictions."""


class StaleAttempt(FatalError):
    """A newer attempt has claimed the partition; this one must not publish."""


class IncompletePublish(FatalError):
    """The rows written are not the rows extracted, so nothing is published."""


class LostRace(FatalError):
    """Another promotion changed the champion first."""


class RetrainingFailed(FatalError):
    """Retraining was due or to be decided, but reached no verdict."""


class ExplanationFailed(FatalError):
    """A published score is not reproduced, or the feature contributions do not sum to it."""


class StorageFull(FatalError):
    """No room is left on the disk of the storage or of Postgres."""


class StorageRefused(FatalError):
    """The object store does not let this account do what is needed, or has no such bucket."""


class OutOfMemory(FatalError):
    """A step needs more memory than it may have."""


class StackError(FatalError):
    """The local stack cannot do what was asked."""


class SourceUnavailable(TransientError):
    """An input's folder or files cannot be reached, or are still being written."""


class WarehouseUnavailable(TransientError):
    """Postgres cannot be reached, or cut the connection."""


class StorageUnavailable(TransientError):
    """The object store cannot be reached, cut the connection, or kept less than it was sent."""


class OutOfTime(TransientError):
    """A step exceeded its time limit; the cause may be gone at the next attempt."""


class ClusterUnavailable(TransientError):
    """The Dask cluster cannot be reached, has no worker, or has lost one."""


class TrackingUnavailable(TransientError):
    """MLflow cannot be reached."""


class ChannelUnavailable(TransientError):
    """A channel does not take a message about alerts; the message waits in the outbox."""


def first_line(error: BaseException) -> str:
    r"""Return the first line of an error's message, or its type if it has none.

    Examples
    --------
    >>> first_line(OSError("No such file\nDetails follow")), first_line(OSError())
    ('No such file', 'OSError')
    """
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
