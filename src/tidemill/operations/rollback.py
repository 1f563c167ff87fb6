"""Rollback: an earlier champion serves again, and rows that undone releases published are withdrawn.

It needs neither MLflow nor a model: the champion and the pointers are rows of the ledger, and MLflow's alias follows
afterwards. A partition without an earlier run is scored again.
"""

from dataclasses import dataclass

from tidemill.errors import ArtifactCorrupt, NoChampion, NotApproved
from tidemill.mlflow_mirror.alias import follow, note_promotion
from tidemill.operations.backfill import Policy, backfill
from tidemill.records import EvaluationReport, Record
from tidemill.spec import ModelSpec
from tidemill.steps.train.successor import tolerated, watch_predecessor
from tidemill.storage.audit_anchor import anchor_audit
from tidemill.storage.bundles import load_bundle
from tidemill.storage.store import Store
from tidemill.warehouse.predictions.publisher import Publisher
from tidemill.warehouse.releases.promotion import Promotion
from tidemill.warehouse.releases.registry import Release, Releases
from tidemill.workspace import LEDGER, PROMOTER, Workspace

__all__ = ["Rollback", "promote_by_hand", "roll_back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback(Record):
    """Outcome of a rollback."""

    release_id: int
    """The champion now."""
    undone: tuple[int, ...]
    """Releases that count as never live, newest first."""
    restored: tuple[str, ...]
    """Partitions whose earlier run is visible again."""
    rescored: tuple[str, ...]
    """Partitions that had no earlier run and were scored again."""
    withheld: tuple[str, ...] = ()
    """Partitions scored again whose new rows wait for a person; readers still see those of the undone release."""


def roll_back(
    spec: ModelSpec,
    workspace: Workspace,
    *,
    to: int | None,
    republish: tuple[str, str] | None,
    approved_by: str,
    reason: str,
) -> Rollback:
    """Make an earlier champion serve again.

    Parameters
    ----------
    to : int or None
        Release to go back to; None for the one before the champion. The champion itself undoes no further release.
    republish : (str, str) or None
        First and last partition whose rows of undone releases are withdrawn; None to keep them.

    Raises
    ------
    NoChampion
        If there is nothing to go back to.
    ArtifactCorrupt
        If the bundle to go back to is gone or damaged; then nothing has changed.
    """
    wanted = () if republish is None else tuple(item.key for item in spec.partitions_between(*republish))
    releases, publisher = Releases(workspace.connection(PROMOTER)), Publisher(workspace.connection(LEDGER))
    target = releases.way_back(spec.model, to)
    _verify(spec, workspace, releases, target)
    release_id, undone = releases.rollback(spec.model, target, approved_by=approved_by, reason=reason)
    note_promotion(workspace, spec.model)
    # All releases ever undone, so that --to <champion> finishes a rollback that was killed.
    never_live = releases.undone(spec.model)
    wrong = [run.partition for run in publisher.published(spec.model) if run.release_id in never_live]
    restored: list[str] = []
    rescored: list[str] = []
    withheld: list[str] = []
    for key in (key for key in wrong if key in wanted):
        if publisher.point_back(spec.model, key, never_live, None) is not None:
            restored.append(key)
        else:
            done = backfill(spec, key, key, workspace, policy=Policy(kind="live_then", again=True))
            (withheld if done.withheld else rescored).append(key)
    anchor_audit(workspace, spec.model)
    follow(workspace, spec.model)
    return Rollback(
        release_id=release_id,
        undone=undone,
        restored=tuple(restored),
        rescored=tuple(rescored),
        withheld=tuple(withheld),
    )


def promote_by_hand(
    spec: ModelSpec, workspace: Workspace, release_id: int, *, force: bool, approved_by: str, reason: str
) -> None:
    """Make a release the champion, as a person decided; with ``accept.watch``, the former one scores in its shadow.

    Raises
    ------
    NoChampion
        If the model has no such release.
    NotApproved
        If the gate's newest verdict is not ``accept`` or a person's newest answer is no, without ``force``; or if the
        spec requires four eyes, and the person asked for the training.
    ArtifactCorrupt
        If its bundle is gone or damaged; then nothing has changed.
    """
    releases = Releases(workspace.connection(PROMOTER))
    release, champion = releases.release(spec.model, release_id), releases.champion(spec.model)
    if release is None:
        raise NoChampion(f"Model {spec.model!r} has no release {release_id}.", "See 'tidemill history'.")
    _refuse_without_leave(spec, release, force=force, approved_by=approved_by)
    _verify(spec, workspace, releases, release_id)
    promoted = releases.promote(
        spec.model,
        Promotion(
            release_id=release_id,
            expected=None if champion is None else champion.release_id,
            live_from=max((spec.partition(release.partition).cutoff, *releases.live_from(spec.model))),
            approved_by=approved_by,
            reason=reason,
            kind="promote" if release.verdict == "accept" and not release.refused_by else "force",
            decision_id=release.decision_id,
        ),
    )
    if promoted:
        margin = tolerated(spec, EvaluationReport.from_dict(release.evidence))
        watch_predecessor(workspace, spec, successor=release_id, margin=margin)
    note_promotion(workspace, spec.model)
    anchor_audit(workspace, spec.model)
    follow(workspace, spec.model)


def _refuse_without_leave(spec: ModelSpec, release: Release, *, force: bool, approved_by: str) -> None:
    """Raise if the gate's verdict, another person's answer or the spec's four eyes forbid a promotion by hand."""
    named = f"release {release.release_id} of {spec.model!r}"
    if spec.accept.four_eyes and approved_by == release.requested_by:
        raise NotApproved(
            f"{approved_by} asked for the training of {named}, and may not promote it as well.", "Ask somebody else to."
        )
    if release.verdict != "accept" and not force:
        raise NotApproved(
            f"The gate's verdict on {named} is {release.verdict.replace('_', ' ')}.",
            "Leave it, or promote it with --force and a reason; that is recorded.",
        )
    if release.refused_by and not force:
        raise NotApproved(
            f"{release.refused_by} has rejected {named}.",
            "Talk to each other, or promote it with --force and a reason; that is recorded.",
        )


def _verify(spec: ModelSpec, workspace: Workspace, releases: Releases, release_id: int) -> None:
    """Load a bundle as prediction will, before anything depends on it."""
    release = releases.release(spec.model, release_id)
    assert release is not None  # it is or was live, or has just been found
    try:
        load_bundle(Store.of(workspace).path(release.bundle_uri), release.bundle_digest, spec.train.trusted)
    except ArtifactCorrupt as error:
        raise ArtifactCorrupt(
            f"Release {release_id} of {spec.model!r} cannot serve, and nothing has changed: {error.problem}",
            f"Restore its folder from a backup, or choose another release: see 'tidemill history {spec.model}'.",
        ) from error
