"""One examination: every check, in order; a failing check does not stop the others."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from tidemill.doctor.artifacts import Depth, check_bundles, check_predictions, check_snapshots
from tidemill.doctor.audit import (
    check_anchor,
    check_audit,
    check_declaration,
    check_deployments,
    check_pointers,
    check_records,
)
from tidemill.doctor.findings import Finding, Health
from tidemill.doctor.freshness import check_freshness
from tidemill.doctor.ledger import (
    check_clock,
    check_dead_runs,
    check_migrations,
    check_outbox,
    check_rights,
)
from tidemill.doctor.machine import (
    check_disk,
    check_packages,
    check_permissions,
    check_tracking,
    free_and_total,
    sound_specs,
)
from tidemill.doctor.reproduction import check_reproductions
from tidemill.doctor.withheld import check_withheld
from tidemill.errors import (
    SchemaChanged,
    SettingsError,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
    WarehouseUnavailable,
)
from tidemill.retention import close_all_lost_runs
from tidemill.spec import ModelSpec
from tidemill.storage.store import Store
from tidemill.tracking import Tracking
from tidemill.versions import lock_file
from tidemill.warehouse.connections import fetch_value, kept_open, transaction
from tidemill.warehouse.predictions.withholding import Withholding
from tidemill.warehouse.statements import execute
from tidemill.workspace import LEDGER, PROMOTER, SOURCE, Workspace

__all__ = ["examine"]

CONNECTIONS = (SOURCE, LEDGER, PROMOTER)
_LAST_WORD_S = 5.0  # seconds; once MLflow has failed after more than this, it is not asked about further models


def examine(
    workspace: Workspace, *, as_of: datetime | None = None, deep: bool = False, repair: bool = False
) -> tuple[Finding, ...]:
    """Run every check.

    Parameters
    ----------
    as_of : datetime, optional
        Instant that freshness is judged at; now by the warehouse's clock by default.
    deep : bool, default False
        Hash every kept folder and read every published row again, not only the newest.
    repair : bool, default False
        Set a wrong alias in MLflow, close steps whose processes are lost, and end their sessions.

    Returns
    -------
    tuple of Finding
        One per check and subject, passed checks included.
    """
    with kept_open():
        return tuple(_findings(workspace, as_of, Depth(deep=deep), repair=repair))


def _findings(workspace: Workspace, as_of: datetime | None, depth: Depth, *, repair: bool) -> Iterator[Finding]:
    specs, finding = sound_specs(workspace.models)
    yield finding
    yield check_packages(lock_file())
    yield check_disk(*free_and_total(workspace.storage), workspace.storage)
    try:
        yield check_permissions(workspace, _configured(workspace))
        url = workspace.connection(LEDGER)
        if not _is_migrated(url):
            yield Finding.fail("migrations", "ledger", "The warehouse has no ledger yet.", "'tidemill migrate'.")
            return
        if repair:
            close_all_lost_runs(workspace)
        yield from _ledger(url)
        instant = as_of or _now(url)
        for spec in specs:
            yield from _model(workspace, url, spec, instant, depth)
        yield from _mirror(workspace, url, specs, repair=repair)
    except (WarehouseUnavailable, SettingsError, SchemaChanged) as error:
        yield Finding.fail("warehouse", "ledger", error.problem, _remedy(error))


def _configured(workspace: Workspace) -> list[str]:
    """Return the connections that this machine has: a probe may have fewer than a worker."""
    urls = []
    for name in CONNECTIONS:
        with suppress(SettingsError):
            urls.append(workspace.connection(name))
    return urls


def _is_migrated(url: str) -> bool:
    with transaction(url) as cursor:
        execute(cursor, "ledger_exists")
        return bool(fetch_value(cursor))


def _now(url: str) -> datetime:
    with transaction(url) as cursor:
        execute(cursor, "now")
        instant: datetime = fetch_value(cursor)
        return instant


def _ledger(url: str) -> Iterator[Finding]:
    with transaction(url) as cursor:
        yield check_migrations(cursor)
        yield from check_rights(cursor)
        yield check_audit(cursor)
        yield check_dead_runs(cursor)
        yield check_outbox(cursor)
        yield check_clock(cursor, datetime.now(UTC))


def _model(workspace: Workspace, url: str, spec: ModelSpec, as_of: datetime, depth: Depth) -> Iterator[Finding]:
    store = Store.of(workspace)
    with transaction(url) as cursor:
        execute(cursor, "published_partitions", model=spec.model)
        published = dict(cursor.fetchall())
        execute(cursor, "has_champion", model=spec.model)
        serves = bool(fetch_value(cursor))
        yield check_pointers(cursor, spec.model)
        yield check_declaration(cursor, spec)
        yield check_records(cursor, spec.model)
        yield check_deployments(cursor, spec.model)
        yield check_reproductions(cursor, spec.model)
    withheld = Withholding(url).runs(spec.model)
    yield check_withheld(spec.model, withheld)
    known = {**dict.fromkeys((run.partition for run in withheld), False), **published}  # a withheld one is not missing
    yield check_freshness(spec, known, serves, as_of, withheld=[run.partition for run in withheld])
    try:
        with transaction(url) as cursor:
            yield check_anchor(cursor, store, spec.model)
        yield check_bundles(url, store, spec)
        yield check_snapshots(url, store, spec, depth)
    except (StorageFull, StorageRefused, StorageUnavailable) as error:  # the rest is worth knowing all the same
        yield Finding.fail("storage", spec.model, error.problem, error.next_step)
    yield check_predictions(url, spec, depth)


def _mirror(workspace: Workspace, url: str, specs: tuple[ModelSpec, ...], *, repair: bool) -> Iterator[Finding]:
    uri = workspace.tracking_uri
    finding = check_tracking(uri)
    yield finding
    if uri is None or finding.severity is not Health.OK:
        return
    from tidemill.doctor.mlflow import check_alias, check_waiting  # loads the modeling room
    from tidemill.mlflow_mirror.alias import mirrored_champion

    for spec in specs:
        began = time.monotonic()
        try:
            yield check_waiting(workspace, spec.model, repair=repair)
        except (StorageFull, StorageRefused, StorageUnavailable) as error:
            yield Finding.warn("mlflow", spec.model, error.problem, error.next_step)
        finding = check_alias(Tracking(uri), workspace, spec.model, mirrored_champion(url, spec.model), repair=repair)
        yield finding
        if finding.severity is not Health.OK and time.monotonic() - began > _LAST_WORD_S:
            return


def _remedy(error: WarehouseUnavailable | SettingsError | SchemaChanged) -> str:
    if isinstance(error, SchemaChanged):
        return "Bring the ledger up to date: 'tidemill migrate'."
    if isinstance(error, WarehouseUnavailable):
        return "Start Postgres ('make up'), or correct the connection."
    return error.next_step
