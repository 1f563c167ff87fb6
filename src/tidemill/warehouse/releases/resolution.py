"""Resolution: the release that serves now, and the release that scores a partition."""

from tidemill.errors import NoChampion, ReleaseFromTheFuture
from tidemill.intervals import Partition
from tidemill.records import ReleaseRef
from tidemill.warehouse.releases.registry import Release, Releases

__all__ = ["current_release", "resolve_release"]


def current_release(releases: Releases, model: str) -> int:
    """Return the champion's id.

    Raises
    ------
    NoChampion
        If there is none.
    """
    champion = releases.champion(model)
    if champion is None:
        raise NoChampion(f"Model {model!r} has no champion: no release has been promoted yet.", "Train one first.")
    return champion.release_id


def resolve_release(
    releases: Releases, model: str, partition: Partition, *, release_id: int | None = None, simulate: bool = False
) -> ReleaseRef:
    """Return the release that scores a partition, once for a whole run.

    Parameters
    ----------
    release_id : int, optional
        A release by its id; by default the one that was live for the partition.
    simulate : bool, default False
        Allow a release trained on data from after the partition's cutoff, and mark its rows.

    Raises
    ------
    NoChampion
        If no release was live for the partition, or the release does not exist.
    ReleaseFromTheFuture
        If the release was trained on data from after the partition's cutoff and this is not a simulation.
    """
    found = releases.live_at(model, partition.cutoff) if release_id is None else releases.release(model, release_id)
    if found is None and release_id is not None:
        raise NoChampion(
            f"Model {model!r} has no release {release_id}.", f"See 'tidemill history {model}' for those it has."
        )
    if found is None:
        raise NoChampion(*_nothing_live(releases.champion(model), model, partition))
    from_future = found.known_until > partition.cutoff
    if from_future and not simulate:
        raise ReleaseFromTheFuture(
            f"Release {found.release_id} of {model!r} learnt from data up to {found.known_until:%Y-%m-%d %H:%M %Z}, "
            f"after the cutoff of partition {partition.key!r} ({partition.cutoff:%Y-%m-%d %H:%M %Z}); "
            "its scores would pretend to know the future.",
            f"Score a later partition, choose an older release, or simulate: --simulate --policy release={found.release_id}.",
        )
    return ReleaseRef(
        model=model,
        release_id=found.release_id,
        bundle_digest=found.bundle_digest,
        bundle_uri=found.bundle_uri,
        snapshot_digest=found.snapshot_digest,
        known_until=found.known_until,
        partition=partition.key,
        simulated=from_future,
    )


def _nothing_live(champion: Release | None, model: str, partition: Partition) -> tuple[str, str]:
    if champion is None:
        return (
            f"Model {model!r} has no champion: no release has been promoted yet.",
            f"Train one: 'tidemill train {model} --partition …'. Why the gate refused others: 'tidemill releases {model}'.",
        )
    return (
        f"No release of {model!r} was live for partition {partition.key!r}: the champion, release {champion.release_id}, "
        f"learnt from data up to {champion.known_until:%Y-%m-%d %H:%M %Z}.",
        f"Train as of an earlier partition, or simulate: --simulate --policy release={champion.release_id}.",
    )
