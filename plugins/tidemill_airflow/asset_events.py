"""The asset events of a task: one for each partition that has changed, and none where nothing was published or promoted.

Airflow sends an event for each outlet of a task that succeeds. A dry run and a refused model succeed too, so the outlets
of a task are cut down to those that have changed before it ends.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator, Context

from tidemill_airflow.assets import MODELS, PREDICTIONS

if TYPE_CHECKING:
    from tidemill.warehouse.releases.registry import Release

__all__ = ["AssetChange", "Changes", "announce", "changes_in_ledger", "changes_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetChange:
    """A partition's predictions, or the champion, as a consumer of the event finds it."""

    partition: str
    """Partition that was published, or as of which the champion was trained."""
    release: int
    """Release that scored the partition, or that is the champion now."""
    rows: int
    """Rows published, or rows of the test set that the champion was accepted on."""
    digest: str
    """Checksum of the published rows, or digest of the champion's bundle."""


Changes = Mapping[str, Sequence[AssetChange]]
"""By group of assets, what has changed."""


def changes_of(record: Mapping[str, Any], partition: str, inputs: Mapping[str, Any]) -> Changes:
    """Return what a step has published or promoted, by its record; nothing for most steps."""
    if record.get("published"):
        change = AssetChange(
            partition=partition, release=record["release_id"], rows=record["n_rows"], digest=record["checksum"]
        )
        return {PREDICTIONS: [change]}
    if record.get("promoted"):
        found = inputs["evaluation"]
        change = AssetChange(
            partition=partition, release=record["release_id"], rows=found["n_test"], digest=found["bundle"]["digest"]
        )
        return {MODELS: [change]}
    return {}


def changes_in_ledger(url: str, model: str, *, champion: bool, partitions: Collection[str]) -> Changes:
    """Return the present champion, if it has changed, and the partitions whose rows have, from the ledger."""
    from tidemill.warehouse.predictions.publisher import Publisher
    from tidemill.warehouse.releases.registry import Releases

    release = Releases(url).champion(model) if champion else None
    published = Publisher(url).published(model) if partitions else ()
    promoted = [] if release is None else [_champion(release)]
    rows = [
        AssetChange(partition=run.partition, release=run.release_id, rows=run.n_rows, digest=run.checksum)
        for run in published
        if run.partition in partitions
    ]
    return {MODELS: promoted, PREDICTIONS: rows}


def _champion(release: "Release") -> AssetChange:
    return AssetChange(
        partition=release.partition,
        release=release.release_id,
        rows=release.evidence["n_test"],
        digest=release.bundle_digest,
    )


def announce(task: BaseOperator, context: Context, changes: Changes) -> None:
    """Let Airflow send the events of what has changed, and no others of the model's assets.

    An event carries the partition key. Its ``extra`` is the change; of several partitions of one task, Airflow gives all
    events the same one: ``partitions``, with the change of each by its key.
    """
    groups = {MODELS, PREDICTIONS}
    task.outlets = [
        outlet
        for outlet in task.outlets
        if not isinstance(outlet, Asset) or outlet.group not in groups or changes.get(outlet.group)
    ]
    for outlet in task.outlets:
        if not isinstance(outlet, Asset) or outlet.group not in groups:
            continue
        found: dict[str, Any] = {change.partition: asdict(change) for change in changes[outlet.group]}
        event = context["outlet_events"][outlet]
        event.add_partitions(list(found))
        event.extra.update(next(iter(found.values())) if len(found) == 1 else {"partitions": found})
