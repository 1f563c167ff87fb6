"""Retention: what nobody needs any more is removed, and each removal is recorded.

Rows of prediction runs go first, then the folders that nothing stands on any more. What is published, the champion
and its predecessor, releases that served not long ago, what a rollback can bring back, and what somebody holds are
never touched. Everything here may be killed at any instant and run again. A folder goes in this order: the record of
its end, a rename, the deletion; so no row of the ledger speaks of a missing folder that it believes alive.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tidemill.errors import SettingsError, TransientError
from tidemill.intervals import Every
from tidemill.records import Record
from tidemill.spec import ModelSpec, Retention
from tidemill.spec_file import load_sound_specs
from tidemill.storage.shelf import Folder, Shelf
from tidemill.storage.store import Store
from tidemill.warehouse.connections import Cursor, fetch_value, kept_open, transaction
from tidemill.warehouse.lost import LostRun, close_lost_runs
from tidemill.workspace import LEDGER, PROMOTER, Workspace

__all__ = ["DEAD_AFTER", "LOOKED_BACK", "Removal", "close_all_lost_runs", "collect_garbage", "kept_folders"]

DEAD_AFTER = timedelta(days=1)
"""A step or a temporary folder that is older belongs to a process that died."""

KINDS = {
    "snapshots": "snapshots",
    "splits": "snapshots",
    "searches": "challengers",
    "bundles": "challengers",
    "evaluations": "challengers",
    "reports": "reports",
}
"""Folders of a model on the storage, and the field of `Retention` that limits them once nothing stands on them."""

LOOKED_BACK = 100
"""Partitions whose figures monitoring may compare with; it does with fewer."""

LOOKED_BACK_HOURS = 2_400  # the same where a partition is an hour
LOOKED_BACK_RUNS = 2_000  # succeeded runs whose cost the next is compared with
N_AT_ONCE = 10_000  # rows of a table deleted in one transaction
N_PASSES = 3  # a reader that was in the way has often gone by then; each stalls readers for 50 ms at most
_LOCK = 4_120_773_561  # any fixed number: two collections at once would undo each other's second thoughts


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal(Record):
    """One thing that goes, or would go."""

    model: str
    """Name of the model."""
    kind: str
    """``prediction_run``, ``leftover``, ``records``, or a kind of folder: ``snapshots``, ``splits``, ``bundles``, …"""
    name: str
    """Number of the prediction run, the folder's URI, or how many records."""
    size_bytes: int
    """What it occupies."""
    reason: str
    """Why it may go, e.g. ``superseded since 2013-04-02``."""
    outcome: str = "due"
    """``due``, ``collected``, ``busy`` (somebody is using it: next time), ``kept`` (it came into use meanwhile)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """A prediction run that may go."""

    prediction_run_id: int
    status_since: datetime
    removal: Removal


def collect_garbage(
    workspace: Workspace, models: Sequence[str] = (), *, dry_run: bool = False, as_of: datetime | None = None
) -> tuple[Removal, ...]:
    """Remove what the models' retention no longer keeps; first close the steps whose processes are lost.

    Parameters
    ----------
    workspace : Workspace
        Folders and connections.
    models : sequence of str
        Names; all models with a sound spec by default.
    dry_run : bool, default False
        Only say what would go.
    as_of : datetime, optional
        Instant that ages are reckoned at; the database's clock by default.

    Raises
    ------
    SpecError
        If a model that was named has no sound spec.
    TransientError
        If another collection is running.
    """
    specs = [workspace.spec(name) for name in models] if models else list(load_sound_specs(workspace.models))
    url = workspace.connection(LEDGER)
    with kept_open(), _alone(url):
        if not dry_run:
            close_all_lost_runs(workspace)
        instant = as_of or _now(url)
        return tuple(removal for spec in specs for removal in _collect(workspace, url, spec, instant, dry_run=dry_run))


def close_all_lost_runs(workspace: Workspace) -> tuple[LostRun, ...]:
    """Close the steps of all models whose processes have died or are frozen, and end what sessions they still have."""
    connections = dict.fromkeys([PROMOTER, *(spec.source.connection for spec in load_sound_specs(workspace.models))])
    others: list[str] = []
    for name in connections:
        with suppress(SettingsError):  # a machine that only probes has fewer connections
            others.append(workspace.connection(name))
    return close_lost_runs(workspace.connection(LEDGER), others)


def kept_folders(cursor: Cursor, model: str, limits: Retention, as_of: datetime, going: Sequence[int] = ()) -> set[str]:
    """Give the URIs of all folders that a kept release or prediction run stands on, whoever's they are.

    Parameters
    ----------
    cursor : cursor
        On the ledger.
    model : str
        Model whose releases the limits are for; those of all other models are kept.
    limits : Retention
        The model's limits.
    as_of : datetime
        Instant that ages are reckoned at.
    going : sequence of int
        Prediction runs that are not to count.
    """
    cursor.execute(_KEPT_FOLDERS, {
        "model": model, "going": list(going), "served": as_of - limits.releases, "registered": as_of - limits.challengers,
    })  # fmt: skip
    return {uri for (uri,) in cursor.fetchall() if uri is not None}


# ---------------------------------------------------------------- one model


def _collect(workspace: Workspace, url: str, spec: ModelSpec, as_of: datetime, *, dry_run: bool) -> Iterator[Removal]:
    with transaction(url) as cursor:
        due = _due_runs(cursor, spec.model, spec.retention, as_of)
    if dry_run:
        yield from (item.removal for item in due)
    else:
        yield from _drop_runs(url, due)
    started = _now(url)
    with transaction(url) as cursor:
        going = [item.prediction_run_id for item in due] if dry_run else []
        kept = kept_folders(cursor, spec.model, spec.retention, as_of, going)
        used = _last_use(cursor, spec.model)
    shelf = Shelf(Store.of(workspace))
    for removal, folder in list(_due_folders(shelf, spec.model, spec.retention, as_of, kept, used)):
        yield removal if dry_run else _remove(shelf, url, removal, folder, started)
    # Last, for the records of runs say when a folder was last used.
    yield from _records(url, spec, as_of, dry_run=dry_run)


@contextmanager
def _alone(url: str) -> Iterator[None]:
    with transaction(url) as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))  # held until the connection closes
        if not fetch_value(cursor):
            raise TransientError("Another collection is running.", "It is tried again; or wait for its end.")
    yield


def _now(url: str) -> datetime:
    with transaction(url) as cursor:
        cursor.execute("SELECT clock_timestamp()")
        instant: datetime = fetch_value(cursor)
        return instant


# ---------------------------------------------------------------- prediction runs


def _due_runs(cursor: Cursor, model: str, limits: Retention, as_of: datetime) -> list[_Due]:
    cursor.execute(_DUE_RUNS, {
        "model": model, "unpublished": as_of - limits.unpublished, "superseded": as_of - limits.superseded,
    })  # fmt: skip
    return [
        _Due(
            prediction_run_id=number, status_since=since,
            removal=Removal(
                model=model, kind="prediction_run", name=str(number), size_bytes=size or 0,
                reason=f"partition {partition}: {status} since {since:%Y-%m-%d}"
                f"{'' if status == 'superseded' else ', never published'}",
            ),
        )
        for number, partition, status, since, size in cursor.fetchall()
    ]  # fmt: skip


def _drop_runs(url: str, due: Sequence[_Due]) -> Iterator[Removal]:
    """Drop runs one by one; a pass ends at the first that readers are in the way of, lest each attempt stall them."""
    waiting = list(due)
    for _ in range(N_PASSES):
        left, reading = [], False
        for item in waiting:
            outcome = "reading" if reading else _drop_run(url, item)
            if outcome in ("reading", "busy"):
                left.append(item)
                reading |= outcome == "reading"
            else:
                yield replace(item.removal, outcome=outcome)
        waiting = left
    yield from (replace(item.removal, outcome="busy") for item in waiting)


def _drop_run(url: str, item: _Due) -> str:
    """Drop one run's table and record it, in one short transaction."""
    with transaction(url) as cursor:
        cursor.execute(
            "SELECT tidemill.collect_prediction_run(%s, %s, %s)",
            (item.prediction_run_id, item.status_since, item.removal.reason),
        )
        return str(fetch_value(cursor))


# ---------------------------------------------------------------- folders


def _due_folders(
    shelf: Shelf, model: str, limits: Retention, as_of: datetime, kept: set[str], used: dict[str, datetime]
) -> Iterator[tuple[Removal, Folder]]:
    """Give what nothing stands on any more, and what killed processes left: half written, or half deleted."""
    for kind, limit in KINDS.items():
        for folder in shelf.folders(model, kind):
            last = max(folder.written_at, used.get(folder.uri, folder.written_at))
            if not folder.whole:
                due, kind_of, reason = (
                    folder.going or last < as_of - DEAD_AFTER,
                    "leftover",
                    "left by a process that died",
                )
            else:
                due = folder.uri not in kept and last < as_of - getattr(limits, limit)
                kind_of, reason = kind, "nothing that is kept stands on it, last used"
            if due:
                yield Removal(
                    model=model, kind=kind_of, name=folder.uri, size_bytes=folder.size_bytes,
                    reason=f"{reason} {last:%Y-%m-%d}",
                ), folder  # fmt: skip


def _remove(shelf: Shelf, url: str, removal: Removal, folder: Folder, started: datetime) -> Removal:
    # A folder's age is by a clock that may have jumped; whether a step is at work is not.
    if not folder.going and _in_use(url, removal.model, started):
        return replace(removal, outcome="busy")
    if not folder.going:  # else the end is on record
        _record(url, removal, folder.written_at)
    if not folder.whole:
        shelf.remove(folder.uri)
        return replace(removal, outcome="collected")
    aside = shelf.set_aside(folder.uri)
    # A step that began in this instant may have found the folder in its place, unless it has written it anew.
    if _in_use(url, removal.model, started) and aside.put_back():
        return replace(removal, outcome="busy")
    aside.remove()
    return replace(removal, outcome="collected")


def _record(url: str, removal: Removal, written_at: datetime) -> None:
    """Append to the audit, unless a collection that was killed afterwards has done so."""
    details = {
        "kind": removal.kind, "name": removal.name, "size_bytes": removal.size_bytes, "reason": removal.reason,
    }  # fmt: skip
    with transaction(url) as cursor:
        cursor.execute(
            "SELECT tidemill.append_audit('collect', %(model)s, %(details)s) WHERE NOT EXISTS (SELECT FROM tidemill.collected"
            " WHERE model = %(model)s AND name = %(name)s AND collected_at > %(written)s)",
            {"model": removal.model, "details": json.dumps(details), "name": removal.name, "written": written_at},
        )  # fmt: skip


def _in_use(url: str, model: str, started: datetime) -> bool:
    """Say whether a step of the model is at work, or was since an instant: it may use what nobody used before."""
    with transaction(url) as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM tidemill.run WHERE model = %s AND (greatest(started_at, ended_at) >= %s"
            " OR (status = 'running' AND started_at > clock_timestamp() - %s)))",
            (model, started, DEAD_AFTER),
        )
        return bool(fetch_value(cursor))


def _last_use(cursor: Cursor, model: str) -> dict[str, datetime]:
    """Give when a step last spoke of each folder: content that was there already is not written again."""
    cursor.execute(
        "SELECT uri #>> '{}', max(coalesce(ended_at, started_at)) FROM tidemill.run,"
        " jsonb_path_query(result, 'strict $.** ? (@.type() == \"string\" && @ starts with $prefix)', %(vars)s) uri"
        " WHERE model = %(model)s AND result IS NOT NULL GROUP BY 1",
        {"model": model, "vars": json.dumps({"prefix": f"{model}/"})},
    )
    return dict(cursor.fetchall())


# ---------------------------------------------------------------- the ledger's own rows


def _records(url: str, spec: ModelSpec, as_of: datetime, *, dry_run: bool) -> Iterator[Removal]:
    """Delete in short transactions what is older than its limit; a dry run deletes too, and takes it back."""
    before, gone = as_of - spec.retention.records, (0, 0, 0)
    n_partitions = LOOKED_BACK_HOURS if spec.partitions.every is Every.HOUR else LOOKED_BACK
    while True:
        with transaction(url) as cursor:
            cursor.execute(
                "SELECT * FROM tidemill.collect_records(%s, %s, %s, %s, %s)",
                (spec.model, before, n_partitions, LOOKED_BACK_RUNS, None if dry_run else N_AT_ONCE),
            )
            found = cursor.fetchone() or gone
            if dry_run:
                cursor.connection.rollback()
        gone = (gone[0] + found[0], gone[1] + found[1], gone[2] + found[2])
        if dry_run or max(found) < N_AT_ONCE:
            break
    if any(gone):
        yield Removal(
            model=spec.model, kind="records", name=f"{gone[0]} metrics, {gone[1]} checks, {gone[2]} runs", size_bytes=0,
            reason=f"older than {before:%Y-%m-%d}, and nothing that is kept speaks of them",
            outcome="due" if dry_run else "collected",
        )  # fmt: skip


# ---------------------------------------------------------------- queries

_DUE_RUNS = """
SELECT r.prediction_run_id, r.partition, r.status, r.status_since,
       pg_total_relation_size(to_regclass('tidemill.prediction_run_' || r.prediction_run_id))
FROM tidemill.prediction_run r
WHERE r.model = %(model)s
  AND (r.status IN ('writing', 'written', 'stale') AND r.status_since < %(unpublished)s
       OR r.status = 'superseded' AND r.status_since < %(superseded)s)
  AND NOT EXISTS (SELECT FROM tidemill.published p WHERE p.prediction_run_id = r.prediction_run_id)
  AND NOT EXISTS (SELECT FROM tidemill.held h WHERE h.model = r.model
                  AND (h.what, h.name) IN (('prediction_run', r.prediction_run_id::text), ('partition', r.partition),
                                           ('release', r.release_id::text)))
ORDER BY r.prediction_run_id
"""

_KEPT_FOLDERS = """
WITH live_run AS (
    SELECT model, release_id, snapshot_digest FROM tidemill.prediction_run
    WHERE status <> 'collected' AND prediction_run_id <> ALL(%(going)s::bigint[])
), served AS (
    SELECT release_id, lead(deployed_at) OVER (ORDER BY deployment_id) AS until
    FROM tidemill.deployment WHERE model = %(model)s
), kept AS (
    SELECT r.* FROM tidemill.release r
    WHERE r.model <> %(model)s
       OR r.release_id IN (SELECT release_id FROM tidemill.champion)
       OR r.release_id IN (SELECT d.previous_release_id FROM tidemill.deployment d
                           JOIN tidemill.champion c ON c.model = d.model AND c.release_id = d.release_id)
       OR r.release_id IN (SELECT release_id FROM served WHERE until IS NULL OR until > %(served)s)
       OR r.registered_at > %(registered)s
       OR r.release_id IN (SELECT release_id FROM live_run)
       OR r.release_id::text IN (SELECT name FROM tidemill.held WHERE what = 'release')
)
SELECT bundle_uri FROM kept
UNION SELECT evidence ->> 'uri' FROM kept
UNION SELECT evidence #>> '{bundle,uri}' FROM kept
UNION SELECT uri #>> '{}' FROM kept, jsonb_path_query(evidence, 'lax $.candidates[*].search.uri') uri
UNION SELECT model || '/splits/' || split_digest FROM kept
UNION SELECT s.uri FROM tidemill.snapshot s
      WHERE (s.model, s.digest) IN (SELECT model, snapshot_digest FROM kept UNION SELECT model, snapshot_digest FROM live_run
                                    UNION SELECT model, name FROM tidemill.held WHERE what = 'snapshot')
"""
