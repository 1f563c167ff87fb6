"""Check artifacts and rows against the ledger: what is published or serves must exist and match its digest."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from psycopg2 import sql

from tidemill.doctor.findings import Finding, judged
from tidemill.errors import ArtifactCorrupt, IncompatibleVersions
from tidemill.retention import kept_folders
from tidemill.spec import ModelSpec
from tidemill.storage.bundles import load_bundle
from tidemill.storage.scratch import scratch
from tidemill.storage.store import Store
from tidemill.warehouse.connections import Cursor, fetch_all, fetch_value, transaction
from tidemill.warehouse.statements import execute

__all__ = ["Depth", "check_bundles", "check_predictions", "check_snapshots"]

_RESTORE = "Restore {} from a backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How much is checked."""

    newest: int = 7
    """Published runs of a model that are read again, the newest ones."""
    deep: bool = False
    """Read all of them, and hash every folder that is kept."""

    @property
    def limit(self) -> int | None:
        """Published runs to read; None for all."""
        return None if self.deep else self.newest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Published:
    """A visible run, as the audit recorded its publication."""

    partition: str
    prediction_run_id: int
    n_rows: int
    checksum: str
    threshold: float | None
    shown: bool
    """Whether its task is the one that the model's view shows."""


def check_bundles(url: str, store: Store, spec: ModelSpec) -> Finding:
    """Load the champion and its predecessor: digests, types, golden rows."""
    with transaction(url) as cursor:
        execute(cursor, "serving_bundles", model=spec.model)
        releases = cursor.fetchall()
    problems = [
        f"release {number}: {said}"
        for number, uri, digest, evaluation in releases
        for said in _bundle_problems(store, uri, digest, evaluation, spec)
    ]
    names = ", ".join(str(number) for number, *_ in releases) or "none"
    return judged(
        "bundles",
        spec.model,
        problems,
        f"Releases that serve or may be rolled back to load and score as before: {names}.",
        f"{_RESTORE.format('the folder')}; or 'tidemill rollback {spec.model}' to one that is whole, or train again.",
    )


def check_snapshots(url: str, store: Store, spec: ModelSpec, depth: Depth) -> Finding:
    """Check that the data of every published run exist, and hash the newest; with ``deep``, all kept data."""
    with transaction(url) as cursor:
        execute(cursor, "published_snapshots", model=spec.model)
        published = cursor.fetchall()
        kept = set()
        if depth.deep:
            execute(cursor, "now")
            kept = kept_folders(cursor, spec.model, spec.retention, fetch_value(cursor))
    hashed = {uri: partition for partition, uri in published[: depth.limit]}
    hashed |= {uri: "kept" for uri in sorted(kept - hashed.keys()) if _is_own_data(uri, spec.model)}
    problems = [
        f"{partition}: {uri} is missing" for partition, uri in published if uri not in hashed and not store.holds(uri)
    ]
    problems += [f"{where}: {said}" for uri, where in hashed.items() for said in _folder_problems(store, uri)]
    return judged(
        "snapshots",
        spec.model,
        problems,
        f"{len(published)} are there, {len(hashed)} folders were hashed again.",
        f"{_RESTORE.format('it')}; the published rows are not affected, but cannot be monitored or explained.",
    )


def check_predictions(url: str, spec: ModelSpec, depth: Depth) -> Finding:
    """Recount the rows of the newest published runs, in their tables and as readers see them; compare checksums."""
    with transaction(url) as cursor:
        execute(cursor, "published_runs", model=spec.model, limit=depth.limit)
        runs = fetch_all(cursor, _Published)
    problems = [said for run in runs for said in _row_problems(url, spec.model, run)]
    return judged(
        "predictions",
        spec.model,
        problems,
        f"Rows of {len(runs)} published runs are those that were published.",
        f"Somebody with the owner's rights has changed rows: 'tidemill predict {spec.model} --partition … --again'.",
    )


def _bundle_problems(store: Store, uri: str, digest: str, evaluation: str | None, spec: ModelSpec) -> Iterator[str]:
    with _as_it_is_kept(store) as kept:
        try:
            load_bundle(kept.path(uri), digest, spec.train.trusted)
        except (ArtifactCorrupt, IncompatibleVersions) as error:
            yield error.problem.rstrip(".")
    if evaluation is not None:
        yield from _folder_problems(store, evaluation)


def _folder_problems(store: Store, uri: str) -> Iterator[str]:
    """Hash a folder whose name is the digest of its content."""
    with _as_it_is_kept(store) as kept:
        try:
            kept.folder(uri, uri.rsplit("/", 1)[1])
        except ArtifactCorrupt as error:
            yield error.problem.rstrip(".")


@contextmanager
def _as_it_is_kept(store: Store) -> Iterator[Store]:
    """Return the store; of a bucket without this machine's copy, which may be whole where the bucket has lost something."""
    if store.bucket is None:
        yield store
    else:
        with scratch(store.root / "examined") as empty:
            yield replace(store, root=empty)


def _is_own_data(uri: str, model: str) -> bool:
    """Whether a folder is the model's data; bundles are named by their manifest, and are loaded instead."""
    owner, kind, _ = uri.split("/")
    return owner == model and kind != "bundles"


def _row_problems(url: str, model: str, run: _Published) -> Iterator[str]:
    table, number = f"prediction_run_{int(run.prediction_run_id)}", run.prediction_run_id
    with transaction(url) as cursor:
        if not _exists(cursor, f"tidemill.{table}"):
            yield f"{run.partition}: the rows of run {number} are gone"
            return
        # Computed as in tidemill.seal_prediction_run, whose checksum it is compared with.
        cursor.execute(
            sql.SQL(
                "SELECT count(*), to_hex(coalesce(bit_xor(tidemill.answer_hash(entity_key, score, predicted,"
                " probabilities, low, high, reasons)), 0)), count(*) FILTER (WHERE score >= %s) FROM {}"
            ).format(sql.Identifier("tidemill", table)),
            (run.threshold,),
        )
        ((n_rows, checksum, n_positive),) = cursor.fetchall()
        visible = _visible(cursor, model, run) if run.shown else (n_rows, n_positive)
    if n_rows != run.n_rows:
        yield f"{run.partition}: run {number} has {n_rows} rows, {run.n_rows} were published"
    elif checksum != run.checksum:
        yield (f"{run.partition}: the rows of run {number} have changed: checksum {checksum}, published {run.checksum}")
    elif visible != (n_rows, n_positive):
        yield (
            f"{run.partition}: readers see {visible[0]} rows and {visible[1]} positives,"
            f" {n_rows} and {n_positive} were published"
        )


def _visible(cursor: Cursor, model: str, run: _Published) -> tuple[int, int]:
    """Count the rows of a run that readers see, and how many of them are predicted as positive."""
    positive = sql.SQL("predicted_label" if run.threshold is not None else "false")
    cursor.execute(
        sql.SQL(
            "SELECT count(*), count(*) FILTER (WHERE {}) FROM {} WHERE partition = %s AND prediction_run_id = %s"
        ).format(positive, sql.Identifier("predictions", model)),
        (run.partition, run.prediction_run_id),
    )
    ((n_rows, n_positive),) = cursor.fetchall()
    return n_rows, n_positive


def _exists(cursor: Cursor, table: str) -> bool:
    execute(cursor, "table_exists", table=table)
    return bool(fetch_value(cursor))
