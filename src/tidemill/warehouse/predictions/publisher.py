"""Publishing: the rows of a partition become visible all at once or not at all.

Claim the partition, write without a lock, and publish by moving a pointer; ``docs/architecture.md`` explains the protocol.
Readers see the old batch or the new one, never a mix and never nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, cast

from psycopg2.errors import DependentObjectsStillExist

from tidemill.errors import IncompletePublish
from tidemill.faults import fault_point
from tidemill.records import PredictionRef, ReleaseRef, SnapshotRef
from tidemill.warehouse.connections import Cursor, connect, fetch_all, fetch_one, fetch_value, transaction
from tidemill.warehouse.predictions.pointer import (
    is_withheld,
    mark_stale,
    move_pointer,
    overtaken,
    stale_attempt,
    take_claim,
    visible_run,
)
from tidemill.warehouse.predictions.views import would_break
from tidemill.warehouse.statements import execute

if TYPE_CHECKING:
    import pyarrow as pa

    from tidemill.warehouse.predictions.rows import ScoredRows

__all__ = ["NewestAttempt", "PublishedRun", "Publisher", "Served"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRun:
    """The visible prediction run of one partition."""

    partition: str
    prediction_run_id: int
    """Row in ``tidemill.prediction_run``."""
    release_id: int
    snapshot_digest: str
    """Rows that were scored."""
    snapshot_uri: str
    """Their folder, relative to the storage root."""
    n_rows: int
    n_set_aside: int
    """Rows that were set aside instead."""
    threshold: float | None
    """Score from which the positive class is predicted."""
    checksum: str = ""
    """Exclusive or of the hashes of all keys and answers."""
    task: str = "binary"
    """Task that its rows answer: ``binary``, ``multiclass`` or ``regression``."""
    found_right: bool = False
    """Whether it was withheld, and a person published it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestAttempt:
    """The newest attempt at a partition, and the run that readers see meanwhile."""

    ended: bool
    """Whether the newest attempt has published or failed."""
    visible: PredictionRef | None
    """The visible run; None if nothing is visible."""
    snapshot_digest: str | None
    """Digest of the rows that it scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The rows that a published partition was scored from."""

    partition: str
    snapshot_digest: str
    """The rows."""
    snapshot_uri: str
    """Their folder, relative to the storage root."""
    cutoff: datetime
    """Instant as of which they were known."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """The writer's view of claims, prediction runs and the pointer."""

    url: str
    """Connection of the role ``tidemill_writer``."""

    def declare(self, model: str, entity_key: str, event_time: str, task: str = "binary") -> None:
        """Create the model's partition of ``tidemill.prediction``, and a view that suits its task, unless they exist.

        Raises
        ------
        SettingsError
            If something depends on columns of the view that another task does not have.
        """
        with _compatible_view(model, task), transaction(self.url) as cursor:
            execute(cursor, "declare_model", model=model, entity_key=entity_key, event_time=event_time, task=task)
            fault_point("declare-before-commit")

    def claim(self, model: str, partition: str, run_id: int) -> int:
        """Take the next token of a partition: from now on, older attempts cannot publish."""
        with transaction(self.url) as cursor:
            token = take_claim(cursor, model, partition, run_id)
            fault_point("claim-before-commit")
        fault_point("claim-after-commit")
        return token

    def renew(self, model: str, partition: str, token: int, run_id: int) -> int:
        """Take a newer token for an attempt of the chain that has claimed the partition.

        Two attempts at one step of a chain share the chain's claim and can overlap; the newer one thereby makes the
        older one stale.

        Parameters
        ----------
        token : int
            Token that the chain's first step took.

        Raises
        ------
        StaleAttempt
            If another chain has claimed the partition since.
        """
        with transaction(self.url) as cursor:
            execute(cursor, "renew_claim", run_id=run_id, model=model, partition=partition, origin=token)
            renewed = fetch_value(cursor)
            fault_point("renew-before-commit")
        fault_point("renew-after-commit")
        if renewed is None:
            raise overtaken(
                f"The attempt at {model!r}, partition {partition!r}, with token {token} has written nothing"
            )
        return int(renewed)

    def write(
        self,
        release: ReleaseRef,
        snapshot: SnapshotRef,
        rows: "ScoredRows",
        *,
        token: int,
        threshold: float | None,
        run_id: int,
    ) -> PredictionRef:
        """Write the rows of one attempt into a new table, with its key, and attach it; no reader sees it yet.

        The same transaction records the rows that are set aside.

        Parameters
        ----------
        rows : ScoredRows
            Computed while they are written.
        token : int
            From ``claim``.
        threshold : float or None
            Score from which the positive class is predicted.

        Raises
        ------
        IncompletePublish
            If Postgres refuses the rows, or those written and those set aside are not as many as the snapshot's.
        StaleAttempt
            If a newer attempt has claimed the partition meanwhile.
        TidemillError
            The error that ends the rows early; none of them is kept then.
        """
        from tidemill.warehouse.predictions.rows import copy_rows, record_set_aside, rows_judged  # loads pyarrow

        batches = iter(rows.published)
        first = next(batches, None)  # an error of all rows shows here, before anything is opened for them
        with connect(self.url, "tidemill-predict") as connection:
            with connection, connection.cursor() as cursor:
                prediction_run_id = _open(cursor, release, snapshot, token, threshold, run_id)
            fault_point("write-opened")
            with rows_judged(release), connection, connection.cursor() as cursor:
                if first is not None:
                    copy_rows(cursor, prediction_run_id, first.schema.names, chain([first], batches))
                record_set_aside(cursor, prediction_run_id, rows.set_aside)
                n_rows, n_set_aside, checksum, mean_score = _seal(cursor, release, prediction_run_id)
                fault_point("write-before-commit")
        fault_point("write-after-commit")
        written = PredictionRef(
            model=release.model,
            partition=release.partition,
            prediction_run_id=prediction_run_id,
            release_id=release.release_id,
            token=token,
            n_rows=n_rows,
            n_set_aside=n_set_aside,
            checksum=checksum,
            mean_score=mean_score,
        )
        if token:  # a dry run has none
            self._refuse_stale(written)
        return written

    def newest_attempt(self, model: str, partition: str) -> NewestAttempt:
        """Return the state of the newest attempt at a claimed partition."""
        with transaction(self.url) as cursor:
            execute(cursor, "newest_attempt", model=model, partition=partition)
            row = fetch_all(cursor, dict)[0]
        ended, snapshot_digest = row.pop("ended"), row.pop("snapshot_digest")
        visible = None if row["prediction_run_id"] is None else PredictionRef(**row, published=True)
        return NewestAttempt(ended=ended, visible=visible, snapshot_digest=snapshot_digest)

    def published(self, model: str) -> tuple[PublishedRun, ...]:
        """Return the visible run of every partition of a model, in order of key."""
        with transaction(self.url) as cursor:
            execute(cursor, "published_of_model", model=model)
            return fetch_all(cursor, PublishedRun)

    def served(self, model: str, partitions: Sequence[str], query: str, *, limit: int) -> tuple[Served, ...]:
        """Return the newest data sets behind some published partitions, by a query's digest, newest first."""
        with transaction(self.url) as cursor:
            execute(cursor, "newest_served", model=model, partitions=list(partitions), query_digest=query, limit=limit)
            return fetch_all(cursor, Served)

    def scores(self, prediction_run_id: int, more: Sequence[str] = ()) -> "pa.Table":
        """Read the rows of a prediction run in order of key.

        Parameters
        ----------
        more : sequence of str, default ()
            Columns besides ``entity_key`` and ``score``: ``event_time``, ``predicted``, ``probabilities``, ``low``, ``high``,
            ``reasons``.
            JSON is returned as text.
        """
        from tidemill.warehouse.predictions.rows import read_rows  # loads pyarrow

        return read_rows(self.url, prediction_run_id, more)

    def publish(self, prediction: PredictionRef) -> bool:
        """Make a written run the visible one of its partition; a second call changes nothing.

        Returns
        -------
        bool
            False if the run is withheld or was discarded, or a newer attempt has claimed the partition since it was
            withheld; it stays invisible then.

        Raises
        ------
        StaleAttempt
            If a newer attempt has claimed the partition.
        """
        with transaction(self.url) as cursor:
            execute(cursor, "lock_claim", model=prediction.model, partition=prediction.partition)
            row = cursor.fetchone()
            if visible_run(cursor, prediction.model, prediction.partition) == prediction.prediction_run_id:
                return True  # perhaps by an attempt whose COMMIT was never answered
            stale = row is None or row[0] != prediction.token
            withheld = is_withheld(cursor, prediction, stale=stale)
            if stale:
                mark_stale(cursor, prediction)
            elif not withheld:
                move_pointer(cursor, prediction)
            fault_point("publish-before-commit")
        fault_point("publish-after-commit")
        if stale and not withheld:
            raise stale_attempt(prediction)
        return not withheld

    def _refuse_stale(self, prediction: PredictionRef) -> None:
        """Refuse an attempt that was overtaken while it wrote; ``publish`` checks again, under the claim's lock."""
        with transaction(self.url) as cursor:
            execute(cursor, "claim_token", model=prediction.model, partition=prediction.partition)
            stale = cursor.fetchone() != (prediction.token,)
            if stale:
                mark_stale(cursor, prediction)
        if stale:
            raise stale_attempt(prediction)

    def point_back(self, model: str, partition: str, undone: Sequence[int], run_id: int | None) -> int | None:
        """Make the newest earlier run of a partition that no undone release has scored visible again.

        Parameters
        ----------
        undone : sequence of int
            Releases whose rows must not become visible.
        run_id : int or None
            The step's run, for the claim.

        Returns
        -------
        int or None
            The prediction run that is visible now, or None if there is no earlier one.
        """
        with transaction(self.url) as cursor:
            take_claim(cursor, model, partition, run_id)  # a running attempt becomes stale
            execute(cursor, "newest_superseded", model=model, partition=partition, undone=list(undone))
            found = fetch_one(cursor, PredictionRef)
            if found is not None:
                move_pointer(cursor, found)
            fault_point("restore-before-commit")
        fault_point("restore-after-commit")
        return None if found is None else found.prediction_run_id

    def taken_back(self, model: str, release_id: int) -> tuple[str, ...]:
        """Return the partitions whose rows by a release have been replaced by those of another one."""
        with transaction(self.url) as cursor:
            execute(cursor, "taken_back", model=model, release_id=release_id)
            return tuple(partition for (partition,) in cursor.fetchall())


@contextmanager
def _compatible_view(model: str, task: str) -> Iterator[None]:
    try:
        yield
    except DependentObjectsStillExist as error:
        raise would_break(model, f"to {task}", (error.diag.message_detail or "other objects").splitlines()) from error


def _open(
    cursor: Cursor, release: ReleaseRef, snapshot: SnapshotRef, token: int, threshold: float | None, run_id: int
) -> int:
    """Create an attempt's table, and return its prediction run."""
    execute(
        cursor,
        "open_prediction_run",
        model=release.model,
        partition=release.partition,
        release_id=release.release_id,
        snapshot_digest=snapshot.digest,
        token=token,
        threshold=threshold,
        simulated=release.simulated,
        run_id=run_id,
    )
    return int(fetch_value(cursor))


def _seal(cursor: Cursor, release: ReleaseRef, prediction_run_id: int) -> tuple[int, int, str, float | None]:
    """Return the numbers of rows written and set aside, and the checksum and the mean score of the written ones.

    Raises
    ------
    IncompletePublish
        If the snapshot has a different number of rows.
    """
    execute(cursor, "seal_prediction_run", prediction_run_id=prediction_run_id)
    n_rows, n_set_aside, n_extracted, checksum, mean_score = cast(
        tuple[int, int, int, str, float | None], cursor.fetchone()
    )
    if n_rows + n_set_aside != n_extracted:
        raise IncompletePublish(
            f"Partition {release.partition!r} of {release.model!r} has {n_extracted} rows to score, "
            f"but {n_rows} were written, and {n_set_aside} were set aside.",
            "Nothing was published; run the partition again.",
        )
    return n_rows, n_set_aside, checksum, mean_score
