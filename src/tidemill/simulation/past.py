"""The past that a simulation replays."""

from collections.abc import Callable
from dataclasses import dataclass

from tidemill.errors import SpecError
from tidemill.intervals import Partition
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.steps.data.extract import training_partitions
from tidemill.workspace import Workspace

__all__ = ["SOURCE", "Past", "Progress", "ignore_progress"]

SOURCE = "source"  # the progress bar's label while rows are copied

Progress = Callable[[str, int, int], None]
"""Receives a label, the number of steps done, and their total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Consecutive partitions of a model, and the source of their rows."""

    spec: ModelSpec
    first: str
    """Key of the first partition, as of which the first model is trained."""
    last: str
    """Key of the last partition, included."""
    workspace: Workspace
    """The real source, which is only read."""

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """The partitions to replay."""
        return tuple(self.spec.partitions_between(self.first, self.last))

    def require_time(self) -> None:
        """Refuse a model whose rows have no time: there is no past to replay.

        Raises
        ------
        SpecError
            If the rows have no time.
        """
        if not self.spec.has_time:
            raise SpecError(
                f"event_time of {self.spec.model!r} is none, so that no past can be replayed: a table is as it is now.",
                "Train on a sample of it with 'tidemill try'.",
            )

    @property
    def needed(self) -> tuple[Partition, ...]:
        """The partitions to copy: the first training window, and those to replay.

        Raises
        ------
        EmptyPartition
            If there is nothing before the first partition to train on.
        """
        partitions = self.partitions
        if not self.spec.has_time:  # a training reads the rows of its own partition
            return partitions[:1]
        job = Job(spec=self.spec, partition=partitions[0], workspace=self.workspace, run_id=0)
        return (*training_partitions(job), *partitions)


def ignore_progress(label: str, done: int, total: int) -> None:
    """Do nothing."""
