"""Resolve release: say once, for a whole run, which release scores the partition."""

from tidemill.records import ReleaseRef
from tidemill.steps.running import Job
from tidemill.warehouse import releases

__all__ = ["resolve_release"]


def resolve_release(job: Job, release: int | None = None, simulate: bool = False) -> ReleaseRef:
    """Give the release that was live for the partition, or the one asked for.

    Raises
    ------
    NoChampion
        If there is none.
    ReleaseFromTheFuture
        If it learnt from data after the partition's cutoff, and this is no simulation.
    """
    return releases.resolve_release(job.releases, job.spec.model, job.partition, release_id=release, simulate=simulate)
