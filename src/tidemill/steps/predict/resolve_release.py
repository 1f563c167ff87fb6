"""Resolve the release that scores the partition, once per run."""

from dataclasses import replace

from tidemill.records import ReleaseRef
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.warehouse.predictions.views import refuse_broken_views
from tidemill.warehouse.releases import resolution
from tidemill.workspace import LEDGER

__all__ = ["resolve_release"]


@declarations.resolve_release
def resolve_release(
    job: Job, release: int | None = None, policy: str = "live_then", simulate: bool = False, dry_run: bool = False
) -> ReleaseRef:
    """Return the release that scores the partition, and claim the partition before reading anything.

    So the attempt that began last publishes, not the slowest one.

    Parameters
    ----------
    policy : str, default "live_then"
        Without ``release``: ``live_then``, the one that was live for the partition, or ``current``, the champion.
    simulate : bool, default False
        Allow a release trained on data after the partition's cutoff, and mark its rows.
    dry_run : bool, default False
        Claim nothing.

    Raises
    ------
    NoChampion
        If there is none.
    ReleaseFromTheFuture
        If it was trained on data after the partition's cutoff, and this is no simulation.
    SettingsError
        If the model's task has changed, and something depends on the columns of its view.
    """
    refuse_broken_views(job.workspace.connection(LEDGER), job.spec.model, job.spec.task.value)
    found = resolution.resolve_release(
        job.releases, job.spec.model, job.partition, release_id=release, simulate=simulate
    )
    return found if dry_run else replace(found, token=job.publisher.claim(found.model, found.partition, job.run_id))
