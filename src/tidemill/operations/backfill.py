"""Backfill: many partitions scored in one process, each by the release that a policy selects.

Partitions that this release has published already are skipped, so an interrupted backfill resumes where it stopped.
Every partition runs the same steps as in a run of its own.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from tidemill.errors import FatalError, NoChampion, ReleaseFromTheFuture, SpecError
from tidemill.intervals import Partition
from tidemill.operations.prediction import predict_partition
from tidemill.records import ReleaseRef
from tidemill.runtime.chains import predict_chain
from tidemill.spec import ModelSpec
from tidemill.steps.monitor.await_ready import refuse_unready
from tidemill.warehouse.connections import kept_open
from tidemill.warehouse.predictions.publisher import Publisher
from tidemill.warehouse.releases.registry import Releases
from tidemill.warehouse.releases.resolution import current_release, resolve_release
from tidemill.workspace import LEDGER, Workspace

__all__ = ["Backfill", "Policy", "backfill", "release_of"]

SHOWN = 5  # refused partitions named in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which release scores the partitions of a backfill, and which partitions are scored."""

    kind: str
    """``live_then``: the one that was live for the partition; ``current``: the champion; ``release``: a named one."""
    release_id: int | None = None
    """The named release."""
    simulate: bool = False
    """Allow releases that saw data after a partition's cutoff, and mark their rows."""
    again: bool = False
    """Score partitions that the same release has published already, too."""
    force: bool = False
    """Also score partitions that are not ready."""
    quarantined: bool = False
    """Only score published partitions again that have rows set aside."""

    @classmethod
    def parse(cls, words: str) -> "Policy":
        """Read ``live_then``, ``current`` or ``release=<id>``.

        Raises
        ------
        SpecError
            If it is anything else.

        Examples
        --------
        >>> Policy.parse("release=3").release_id
        3
        """
        if words in ("live_then", "current"):
            return cls(kind=words)
        match = re.fullmatch(r"release=([1-9]\d{0,17})", words)
        if match is None:
            raise SpecError(f"{words!r} is not a policy.", "Write live_then, current, or release=<id>.")
        return cls(kind="release", release_id=int(match[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """Outcome of a backfill."""

    scored: tuple[str, ...]
    """Partitions scored and published now."""
    present: tuple[str, ...]
    """Partitions that the same release had already published, or that an equal attempt published at the same time."""
    failed: tuple[tuple[str, str], ...]
    """Partitions that ended in an error, with its message."""
    empty: tuple[str, ...] = ()
    """Scored partitions without rows, published as empty."""
    withheld: tuple[str, ...] = ()
    """Partitions scored now whose rows wait for a person; the backfill continues without them."""
    n_set_aside: int = 0
    """Rows of the scored partitions that are set aside."""


def backfill(
    spec: ModelSpec,
    first: str,
    last: str,
    workspace: Workspace,
    *,
    policy: Policy,
    on_partition: Callable[[str, int, int], None] = lambda key, done, total: None,
) -> Backfill:
    """Score and publish the partitions from one key to another, both included.

    Parameters
    ----------
    first, last : str
        Keys.
    policy : Policy
        Which release scores which partitions.
    on_partition : callable
        Called with the key, the partitions done and their number, after each.

    Raises
    ------
    NoChampion, ReleaseFromTheFuture
        If a partition has no release by the policy; nothing has been scored then.
    """
    with kept_open():
        published = {run.partition: run for run in Publisher(workspace.connection(LEDGER)).published(spec.model)}
        partitions = tuple(spec.partitions_between(first, last))
        if policy.quarantined:
            partitions = tuple(p for p in partitions if p.key in published and published[p.key].n_set_aside)
        chosen = _choose(spec, partitions, Releases(workspace.connection(LEDGER)), policy)
        same = (key for key, ref in chosen.items() if key in published and published[key].release_id == ref.release_id)
        skipped = [] if policy.again or policy.quarantined else list(same)
        present = list(skipped)
        scored: list[str] = []
        empty: list[str] = []
        withheld: list[str] = []
        n_set_aside = 0
        failed: list[tuple[str, str]] = []
        for done, (key, ref) in enumerate(chosen.items(), start=1):
            if key not in skipped:
                chain = predict_chain(release=ref.release_id, simulate=policy.simulate)
                try:
                    if not policy.force:
                        refuse_unready(workspace, spec, spec.asked(key))
                    done_now = predict_partition(chain, spec.model, key, workspace)
                    if done_now.overtaken:
                        present.append(key)
                    elif done_now.rows.withheld:
                        withheld.append(key)
                    else:
                        scored.append(key)
                        n_set_aside += done_now.rows.n_set_aside
                        empty += [] if done_now.rows.n_rows else [key]
                except FatalError as error:  # recorded in the ledger; other partitions do not depend on it
                    failed.append((key, str(error)))
            on_partition(key, done, len(chosen))
    return Backfill(
        scored=tuple(scored),
        present=tuple(present),
        failed=tuple(failed),
        empty=tuple(empty),
        withheld=tuple(withheld),
        n_set_aside=n_set_aside,
    )


def _choose(
    spec: ModelSpec, partitions: tuple[Partition, ...], releases: Releases, policy: Policy
) -> dict[str, ReleaseRef]:
    """Return which release scores each partition, before the first is scored."""
    wanted = release_of(spec.model, releases, policy)
    chosen: dict[str, ReleaseRef] = {}
    refused: list[NoChampion | ReleaseFromTheFuture] = []
    for partition in partitions:
        try:
            chosen[partition.key] = resolve_release(
                releases, spec.model, partition, release_id=wanted, simulate=policy.simulate
            )
        except (NoChampion, ReleaseFromTheFuture) as error:
            refused.append(error)
    if refused:
        listed = "\n".join(f"  {error.problem}" for error in refused[:SHOWN])
        more = f"\n  and {len(refused) - SHOWN} more" if len(refused) > SHOWN else ""
        raise type(refused[0])(
            f"{len(refused)} of {len(partitions)} partitions have no release that may score them:\n{listed}{more}",
            refused[0].next_step,
        )
    return chosen


def release_of(model: str, releases: Releases, policy: Policy) -> int | None:
    """Return the one release that a policy names, or None where each partition has its own.

    Raises
    ------
    NoChampion
        If the policy is ``current`` and there is none.
    """
    return current_release(releases, model) if policy.kind == "current" else policy.release_id
