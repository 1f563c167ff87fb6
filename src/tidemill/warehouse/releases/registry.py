"""Releases, deployments and the champion: written by the promoter, read by everybody."""

import json
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from tidemill.errors import LostRace
from tidemill.faults import fault_point
from tidemill.records import BundleRef, Decision
from tidemill.warehouse.connections import Cursor, fetch_all, fetch_one, fetch_value, transaction
from tidemill.warehouse.releases.promotion import (
    Promotion,
    deploy,
    live_releases,
    lock_champion,
    refuse_older_judgement,
    way_back,
)
from tidemill.warehouse.statements import execute

__all__ = ["Deployment", "NewRelease", "Release", "Releases"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release with its newest judgement."""

    release_id: int
    """Row in ``tidemill.release``."""
    bundle_digest: str
    bundle_uri: str
    """Folder, relative to the storage root."""
    snapshot_digest: str
    """Training snapshot."""
    known_until: datetime
    """Cutoff of its training."""
    metric: str
    """Acceptance metric."""
    metric_value: float
    """Its value on the test set at acceptance."""
    learnt_until: datetime
    """Start of its test set, or the cutoff of a training with a refit: nothing from then on was used to fit or choose."""
    evidence: dict[str, Any]
    """Its evaluation report, as JSON types."""
    partition: str
    """Partition as of which it was trained."""
    decision_id: int
    """The gate's newest decision about it."""
    verdict: str
    """Verdict of that decision: ``accept``, ``reject`` or ``not_enough_evidence``."""
    requested_by: str
    """Person who requested the training that was judged last; empty if the schedule did."""
    refused_by: str | None
    """Person whose newest answer was a refusal; None if nobody answered, or the newest answer was an approval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A release going live, or being rolled back."""

    live_from: datetime
    """Model time from which it serves."""
    release_id: int
    previous_release_id: int | None
    """The release before it."""
    kind: str
    """``promote``, ``force`` or ``rollback``."""
    approved_by: str
    """A person, or ``gate``."""
    reason: str
    """One sentence."""
    deployed_at: datetime
    """When it was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRelease:
    """A bundle and the gate's judgement of it, to be recorded."""

    model: str
    partition: str
    """Partition as of which it was trained."""
    bundle: BundleRef
    snapshot_digest: str
    """Training snapshot."""
    split_digest: str
    metric: str
    """Acceptance metric."""
    metric_value: float
    """Its value on the test set."""
    evidence: dict[str, Any]
    """The evaluation, as JSON types."""
    decision: Decision
    """The gate's decision, recorded."""
    learnt_until: datetime
    """Start of the test set, or the cutoff of a training with a refit."""
    known_until: datetime
    """Cutoff of the training."""
    spec_digest: str
    code_version: str
    lock_digest: str
    """Digest of the installed packages."""
    run_id: int | None
    """The registering step's run; None if the release was imported."""
    requested_by: str = ""
    """Person who requested the training manually."""


@dataclass(frozen=True, slots=True)
class Releases:
    """Releases, deployments and the champion."""

    url: str
    """Connection; reading needs any role, writing ``tidemill_promoter``."""

    def champion(self, model: str) -> Release | None:
        """Return the release that serves now, or None."""
        return self._found(model, "champion_id")

    def release(self, model: str, release_id: int) -> Release | None:
        """Return one release of a model, or None."""
        with transaction(self.url) as cursor:
            return _release(cursor, model, release_id)

    def live_at(self, model: str, cutoff: datetime) -> Release | None:
        """Return the release that was live for a partition's cutoff; a release that was rolled back never was."""
        return self._found(model, "live_release_id", cutoff=cutoff)

    def trained_before(self, model: str, cutoff: datetime) -> Release | None:
        """Return the newest release, live or not, of a training with an earlier cutoff."""
        return self._found(model, "newest_release_id", cutoff=cutoff)

    def live_from(self, model: str) -> tuple[datetime, ...]:
        """Return the model time from which the champion serves; empty without one."""
        with transaction(self.url) as cursor:
            execute(cursor, "live_from", model=model)
            return tuple(row[0] for row in cursor.fetchall())

    def deployments(self, model: str) -> tuple[Deployment, ...]:
        """Return every deployment, newest first."""
        with transaction(self.url) as cursor:
            execute(cursor, "deployments", model=model)
            return fetch_all(cursor, Deployment)

    def n_looks(self, model: str, champion: int, partition: str) -> int:
        """Return how many trainings as of other partitions the gate has compared with a champion."""
        with transaction(self.url) as cursor:
            execute(cursor, "n_looks", model=model, champion=champion, partition=partition)
            return int(fetch_value(cursor))

    def anchor(self, model: str, n_promotions: int) -> Release | None:
        """Return the release that was the champion some promotions ago, or the first one; None if it serves now."""
        with transaction(self.url) as cursor:
            live = list(live_releases(cursor, model))
            found = live[min(n_promotions, len(live) - 1)] if len(live) > 1 else None
            return None if found is None else _release(cursor, model, found)

    def undone(self, model: str) -> tuple[int, ...]:
        """Return the releases that were rolled back and have not been promoted again since."""
        with transaction(self.url) as cursor:
            execute(cursor, "undone_releases", model=model)
            return tuple(sorted(int(row[0]) for row in cursor.fetchall()))

    def register(self, new: NewRelease) -> int:
        """Record a bundle and the gate's decision about it; the same bundle of the same partition keeps its id.

        Every judgement of a bundle stays on record, and the newest one counts.
        """
        with transaction(self.url) as cursor:
            of = {"model": new.model, "partition": new.partition, "bundle_digest": new.bundle.digest}
            execute(cursor, "insert_registration", **of, bundle_uri=new.bundle.uri, estimator=new.bundle.estimator)
            execute(cursor, "release_of_bundle", **of)
            release_id = int(fetch_value(cursor))
            execute(
                cursor,
                "insert_judgement",
                release_id=release_id,
                decision_id=new.decision.decision_id,
                model=new.model,
                snapshot_digest=new.snapshot_digest,
                split_digest=new.split_digest,
                metric=new.metric,
                metric_value=new.metric_value,
                evidence=json.dumps(new.evidence),
                learnt_until=new.learnt_until,
                known_until=new.known_until,
                spec_digest=new.spec_digest,
                code_version=new.code_version,
                lock_digest=new.lock_digest,
                run_id=new.run_id,
                requested_by=new.requested_by,
            )
            fault_point("register-before-commit")
        fault_point("register-after-commit")
        return release_id

    def note_mlflow_run(self, release_id: int, mlflow_run_id: str) -> None:
        """Record where MLflow shows the training of a release."""
        with transaction(self.url) as cursor:
            execute(cursor, "note_mlflow_run", mlflow_run_id=mlflow_run_id, release_id=release_id)

    def promote(self, model: str, wanted: Promotion) -> bool:
        """Make a release live, if the champion and the release's newest judgement are still the expected ones.

        It becomes the champion unless another one is already live for newer partitions: a training as of an older
        partition serves from there up to the next. Promoting the champion again changes nothing.

        Returns
        -------
        bool
            Whether it is the champion now.

        Raises
        ------
        LostRace
            If another release has become the champion, or the release has been judged again.
        """
        with transaction(self.url) as cursor:
            current = lock_champion(cursor, model)
            if current == wanted.release_id:
                return True
            refuse_older_judgement(cursor, model, wanted)
            if current != wanted.expected:
                raise LostRace(
                    f"Release {wanted.release_id} of {model!r} was compared with release {wanted.expected}, but the champion"
                    f" is now {current}.",
                    "Train again, so that it is compared with the new champion.",
                )
            champion = deploy(cursor, model, wanted)
            fault_point("promote-before-commit")
        fault_point("promote-after-commit")
        return champion == wanted.release_id

    def way_back(self, model: str, to: int | None) -> int:
        """Return the release that `rollback` would restore; raises as `rollback`."""
        with transaction(self.url) as cursor:
            live = list(live_releases(cursor, model))
            return live[way_back(model, live, to)]

    def rollback(self, model: str, to: int | None, *, approved_by: str, reason: str) -> tuple[int, tuple[int, ...]]:
        """Make an earlier champion the champion again; all later releases count as never live.

        Parameters
        ----------
        to : int or None
            Release to restore; None for the one before the champion.

        Returns
        -------
        release_id : int
            The champion now.
        undone : tuple of int
            Releases that were undone, newest first.

        Raises
        ------
        NoChampion
            If there is no champion, or ``to`` was not live before it.
        """
        with transaction(self.url) as cursor:
            lock_champion(cursor, model)
            live = live_releases(cursor, model)
            position = way_back(model, list(live), to)
            steps = list(live.items())[: position + 1]
            for (bad, live_from), (before, _) in pairwise(steps):
                deploy(
                    cursor,
                    model,
                    Promotion(
                        release_id=before,
                        expected=bad,
                        live_from=live_from,
                        approved_by=approved_by,
                        reason=reason,
                        kind="rollback",
                    ),
                )
            fault_point("rollback-before-commit")
        fault_point("rollback-after-commit")
        return steps[-1][0], tuple(release_id for release_id, _ in steps[:-1])

    def _found(self, model: str, query: str, **values: object) -> Release | None:
        with transaction(self.url) as cursor:
            execute(cursor, query, model=model, **values)
            row = cursor.fetchone()
            return None if row is None else _release(cursor, model, row[0])


def _release(cursor: Cursor, model: str, release_id: int) -> Release | None:
    execute(cursor, "find_release", model=model, release_id=release_id)
    return fetch_one(cursor, Release)
