"""Releases, deployments and the champion, as the promoter writes them and everybody reads them."""

import json
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from tidemill.errors import LostRace
from tidemill.faults import fault_point
from tidemill.records import BundleRef, Decision
from tidemill.warehouse.connections import fetch_all, fetch_one, transaction
from tidemill.warehouse.releases.promotion import deploy, live_releases, lock_champion, way_back

__all__ = ["Deployment", "NewRelease", "Release", "Releases"]

_COLUMNS = (
    "release_id, bundle_digest, bundle_uri, snapshot_digest, known_until, metric, metric_value, learnt_until, evidence,"
    " partition, (SELECT verdict FROM tidemill.decision d WHERE d.decision_id = release.decision_id) AS verdict,"
    " requested_by, (SELECT evidence->>'by' FROM tidemill.decision d WHERE d.model = release.model AND d.kind = 'approve'"
    " AND d.evidence->>'approved' = 'false' AND d.evidence->>'decision_id' = release.decision_id::text"
    " ORDER BY d.decision_id DESC LIMIT 1) AS refused_by"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release as the ledger knows it."""

    release_id: int
    """Row in ``tidemill.release``."""
    bundle_digest: str
    """Digest of its bundle."""
    bundle_uri: str
    """Folder, relative to the storage root."""
    snapshot_digest: str
    """Training snapshot."""
    known_until: datetime
    """Cutoff of its training."""
    metric: str
    """Acceptance metric."""
    metric_value: float
    """Its figure on the test set at acceptance."""
    learnt_until: datetime
    """Start of its test set: no later row was fitted or chosen on."""
    evidence: dict[str, Any]
    """Its evaluation report, as JSON types."""
    partition: str
    """Partition as of which it was trained."""
    verdict: str
    """The gate's: ``accept``, ``reject`` or ``not_enough_evidence``."""
    requested_by: str
    """Who asked for its training by hand; empty if the schedule did."""
    refused_by: str | None
    """Person who said no to it; empty if nobody answered in time, None if nobody was asked or all agreed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A release going live, or being rolled back."""

    live_from: datetime
    """Model time from which it serves."""
    release_id: int
    """The release."""
    previous_release_id: int | None
    """The one that it took over from."""
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
    """What ``register`` writes down about a bundle that the gate has judged."""

    model: str
    """Name of the model."""
    partition: str
    """Partition as of which it was trained."""
    bundle: BundleRef
    """The bundle."""
    snapshot_digest: str
    """Training snapshot."""
    split_digest: str
    """Its split."""
    metric: str
    """Acceptance metric."""
    metric_value: float
    """Its figure on the test set."""
    evidence: dict[str, Any]
    """The evaluation, as JSON types."""
    decision: Decision
    """The gate's decision, recorded."""
    learnt_until: datetime
    """Start of the test set."""
    known_until: datetime
    """Cutoff of the training."""
    spec_digest: str
    """Digest of the spec."""
    code_version: str
    """Version of the code."""
    lock_digest: str
    """Digest of the installed packages."""
    run_id: int | None
    """The registering step's run; None if the release was imported."""
    requested_by: str = ""
    """Who asked for the training by hand."""


@dataclass(frozen=True, slots=True)
class Releases:
    """What has been released and what is live."""

    url: str
    """Connection; reading needs any role, writing ``tidemill_promoter``."""

    def champion(self, model: str) -> Release | None:
        """Return the release that serves now, or None."""
        return self._one(
            f"SELECT {_COLUMNS} FROM tidemill.release JOIN tidemill.champion USING (release_id) WHERE champion.model = %s",
            (model,),
        )

    def release(self, model: str, release_id: int) -> Release | None:
        """Return one release of a model, or None."""
        return self._one(
            f"SELECT {_COLUMNS} FROM tidemill.release WHERE model = %s AND release_id = %s", (model, release_id)
        )

    def live_at(self, model: str, cutoff: datetime) -> Release | None:
        """Return the release that was live for a partition's cutoff; what was rolled back never was."""
        return self._one(
            f"SELECT {_COLUMNS} FROM tidemill.release WHERE release_id = ("
            " SELECT release_id FROM tidemill.live WHERE model = %s AND live_from <= %s"
            " ORDER BY live_from DESC, deployment_id DESC LIMIT 1)",
            (model, cutoff),
        )

    def live_from(self, model: str) -> tuple[datetime, ...]:
        """Return the model time from which the champion serves; empty without one."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "SELECT d.live_from FROM tidemill.deployment d JOIN tidemill.champion c USING (deployment_id)"
                " WHERE c.model = %s",
                (model,),
            )
            return tuple(row[0] for row in cursor.fetchall())

    def deployments(self, model: str) -> tuple[Deployment, ...]:
        """Give everything that was ever live, newest first."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "SELECT live_from, release_id, previous_release_id, kind, approved_by, reason, deployed_at"
                " FROM tidemill.deployment WHERE model = %s ORDER BY deployment_id DESC",
                (model,),
            )
            return fetch_all(cursor, Deployment)

    def undone(self, model: str) -> tuple[int, ...]:
        """Return the releases that were rolled back and have not been promoted again since."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "SELECT DISTINCT previous_release_id FROM tidemill.deployment WHERE model = %s AND kind = 'rollback'"
                " AND previous_release_id NOT IN (SELECT release_id FROM tidemill.live WHERE model = %s)",
                (model, model),
            )
            return tuple(sorted(int(row[0]) for row in cursor.fetchall()))

    def register(self, new: NewRelease) -> int:
        """Write a release; registering the same bundle for the same partition again gives the same id."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "INSERT INTO tidemill.release (model, bundle_digest, bundle_uri, snapshot_digest, split_digest, partition,"
                " estimator, metric, metric_value, evidence, decision_id, learnt_until, known_until, spec_digest, code_version,"
                " lock_digest, run_id, requested_by)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (model, partition, bundle_digest) DO NOTHING RETURNING release_id",
                (
                    new.model,
                    new.bundle.digest,
                    new.bundle.uri,
                    new.snapshot_digest,
                    new.split_digest,
                    new.partition,
                    new.bundle.estimator,
                    new.metric,
                    new.metric_value,
                    json.dumps(new.evidence),
                    new.decision.decision_id,
                    new.learnt_until,
                    new.known_until,
                    new.spec_digest,
                    new.code_version,
                    new.lock_digest,
                    new.run_id,
                    new.requested_by,
                ),
            )
            row = cursor.fetchone()
            if row is None:
                cursor.execute(
                    "SELECT release_id FROM tidemill.release WHERE model = %s AND partition = %s AND bundle_digest = %s",
                    (new.model, new.partition, new.bundle.digest),
                )
                row = cursor.fetchone()
            assert row is not None  # inserted now or before
            fault_point("register-before-commit")
        fault_point("register-after-commit")
        return int(row[0])

    def note_mlflow_run(self, release_id: int, mlflow_run_id: str) -> None:
        """Remember where MLflow shows the training of a release."""
        with transaction(self.url) as cursor:
            change = "UPDATE tidemill.release SET mlflow_run_id = %s WHERE release_id = %s"
            cursor.execute(change, (mlflow_run_id, release_id))

    def promote(
        self,
        model: str,
        release_id: int,
        *,
        expected: int | None,
        live_from: datetime,
        approved_by: str,
        reason: str,
        kind: str = "promote",
    ) -> bool:
        """Make a release live, if the champion is still the expected one.

        It becomes the champion unless another one is live for newer partitions already: a training as of an older
        partition serves from there up to the next.

        Parameters
        ----------
        model : str
            Name of the model.
        release_id : int
            Release to promote; promoting the champion again changes nothing.
        expected : int or None
            Release that the caller compared it with; None if there was none.
        live_from : datetime
            Cutoff from which it serves.
        approved_by : str
            A person, or ``gate``.
        reason : str
            One sentence.
        kind : str, default "promote"
            ``promote``, or ``force`` against the gate's word.

        Returns
        -------
        bool
            Whether it is the champion now.

        Raises
        ------
        LostRace
            If another release became the champion since.
        """
        with transaction(self.url) as cursor:
            current = lock_champion(cursor, model)
            if current == release_id:
                return True
            if current != expected:
                found = f"Release {release_id} of {model!r} was compared with release {expected}"
                next_step = "Train again, so that it is compared with the new champion."
                raise LostRace(f"{found}, but the champion is now {current}.", next_step)
            champion = deploy(cursor, model, release_id, current, kind, live_from, approved_by, reason)
            fault_point("promote-before-commit")
        fault_point("promote-after-commit")
        return champion == release_id

    def way_back(self, model: str, to: int | None) -> int:
        """Return the release that `rollback` would go back to; raises what it would."""
        with transaction(self.url) as cursor:
            live = list(live_releases(cursor, model))
            return live[way_back(model, live, to)]

    def rollback(self, model: str, to: int | None, *, approved_by: str, reason: str) -> tuple[int, tuple[int, ...]]:
        """Make an earlier champion the champion again; everything that came after it counts as never live.

        Parameters
        ----------
        model : str
            Name of the model.
        to : int or None
            Release to go back to; None for the one before the champion.
        approved_by : str
            A person.
        reason : str
            One sentence.

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
                deploy(cursor, model, before, bad, "rollback", live_from, approved_by, reason)
            fault_point("rollback-before-commit")
        fault_point("rollback-after-commit")
        return steps[-1][0], tuple(release_id for release_id, _ in steps[:-1])

    def _one(self, query: str, parameters: tuple[object, ...]) -> Release | None:
        with transaction(self.url) as cursor:
            cursor.execute(query, parameters)
            return fetch_one(cursor, Release)
