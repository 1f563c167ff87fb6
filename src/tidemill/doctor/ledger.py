"""The ledger's own health: migrations, roles, grants, triggers, dead attempts."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tidemill.doctor.findings import Finding, judged, listed
from tidemill.warehouse.connections import Cursor, fetch_value
from tidemill.warehouse.lost_runs import lost_runs
from tidemill.warehouse.statements import execute, sql_folder

__all__ = [
    "check_clock",
    "check_dead_runs",
    "check_migrations",
    "check_outbox",
    "check_rights",
    "check_roles",
]

OVERDUE_HOURS = 1  # messages that have waited longer: their channel is dead
RUNTIME = ("tidemill_writer", "tidemill_promoter", "tidemill_reader")
OWNER = "tidemill_owner"
APPEND_ONLY = (
    "alert_event",
    "audit",
    "deployment",
    "document",
    "judgement",
    "registration",
    "reproduction",
    "snapshot",
)
SKEW_S = 60  # between two clocks; a schedule's tick is early or late by that much
_MIGRATE = "'tidemill migrate'; a file that has changed must be restored, a newer ledger needs the newer version."
_MAY_INSERT = {
    "tidemill_reader": (),
    "tidemill_promoter": ("registration", "judgement"),
    "tidemill_writer": (
        "run",
        "document",
        "reproduction",
        "snapshot",
        "check_result",
        "metric",
        "alert",
        "examination",
        "alert_event",
        "alert_message",
        "partition_counts",
        "revision",
        "measured_labels",
    ),
}
_MAY_UPDATE = {
    ("tidemill_promoter", "registration"): ("mlflow_run_id",),
    ("tidemill_writer", "run"): ("status", "error", "result", "ended_at", "wall_s", "cpu_s", "peak_rss_bytes",
                                 "memory_limit_bytes", "n_rows"),
    ("tidemill_writer", "claim"): ("claimed_at",),
    ("tidemill_writer", "measured_labels"): ("prediction_run_id", "digest", "as_of", "measured_at"),
    ("tidemill_writer", "alert"): ("status", "severity", "message", "value", "threshold", "first_partition",
                                   "last_partition", "told", "told_partition", "run_id", "updated_at", "resolved_at",
                                   "acknowledged_by", "acknowledged_at", "acknowledged_reason",
                                   "acknowledged_until"),
    ("tidemill_writer", "alert_message"): ("state", "attempts", "next_try", "claimed_until", "error", "sent_at"),
}  # fmt: skip
_MAY_NOT_CALL = {
    "tidemill_promoter": (
        "append_event",
        "move_pointer",
        "mark_stale",
        "record_decision",
        "withhold",
        "resolve",
        "set_aside",
        "take_claim",
        "renew_claim",
    ),
    "tidemill_writer": ("append_event", "deploy", "lock_champion", "start_shadow", "end_shadow"),
}
"""Functions with the owner's rights that another role, or only other functions, may call."""


def check_migrations(cursor: Cursor, folder: Path | None = None) -> Finding:
    """Compare the migrations that were applied with the files of this version."""
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (folder or sql_folder("migrations")).glob("[0-9]*.sql")
    }
    execute(cursor, "may_read_migrations")
    if not fetch_value(cursor):
        return Finding.fail(
            "migrations", "ledger", "Which are applied cannot be read: it is older than 0002.", _MIGRATE
        )
    execute(cursor, "applied_migrations")
    applied = dict(cursor.fetchall())
    problems = [f"{name} is not applied" for name in sorted(files.keys() - applied.keys())]
    problems += [f"{name} was applied by a newer version" for name in sorted(applied.keys() - files.keys())]
    problems += [f"{name} has changed" for name in sorted(files) if name in applied and applied[name] != files[name]]
    return judged(
        "migrations",
        "ledger",
        problems,
        f"All {len(files)} are applied.",
        _MIGRATE,
    )


def check_rights(cursor: Cursor) -> Iterator[Finding]:
    """Compare roles, their rights and the append-only triggers with what the migrations granted."""
    yield check_roles(cursor)
    yield judged(
        "grants",
        "ledger",
        list(_grant_problems(cursor)),
        "Each role may do what it needs, and no more.",
        "REVOKE it as the owner; see sql/migrations for what each role may do.",
    )
    yield judged(
        "append_only",
        "ledger",
        list(_trigger_problems(cursor)),
        f"{', '.join(APPEND_ONLY)} refuse every change.",
        "ALTER TABLE … ENABLE TRIGGER append_only as the owner, or create it again as in 0001_ledger.sql.",
    )


def check_roles(cursor: Cursor) -> Finding:
    """Check that the four roles exist, and that none has more power than it needs."""
    return judged(
        "roles",
        "warehouse",
        list(_role_problems(cursor)),
        "Four roles, and none has more power than it needs.",
        "CREATE ROLE what is missing; ALTER ROLE … NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS what has"
        " too much, or REVOKE the membership.",
    )


def check_outbox(cursor: Cursor) -> Finding:
    """Report messages about alerts that their channel does not accept."""
    execute(cursor, "overdue_messages", hours=OVERDUE_HOURS)
    waiting = [f"{n} for {channel!r}: {error or 'not tried yet'}" for channel, n, error in cursor.fetchall()]
    if not waiting:
        return Finding.ok("outbox", "ledger", "No message about an alert has waited for long.")
    return Finding.warn(
        "outbox",
        "ledger",
        f"Messages about alerts wait: {listed(waiting)}",
        "Fix the channel, then 'tidemill alerts --send'.",
    )


def check_dead_runs(cursor: Cursor) -> Finding:
    """Report steps whose process has died or is frozen."""
    lost = lost_runs(cursor)
    dead = [f"run {run.run_id}, {run.step} of {run.model} {run.partition}" for run in lost]
    if not dead:
        return Finding.ok("dead_runs", "ledger", "Every running step shows signs of life.")
    return Finding.warn(
        "dead_runs",
        "ledger",
        f"{len(dead)} step(s) never ended: {listed(dead)}. {lost[0].why}",
        "Run their partitions again if nothing else has; 'tidemill doctor --repair' closes them.",
    )


def check_clock(cursor: Cursor, machine: datetime) -> Finding:
    """Compare this machine's clock with the warehouse's, which is the one that counts."""
    execute(cursor, "now")
    ahead = (machine - fetch_value(cursor)).total_seconds()
    if abs(ahead) <= SKEW_S:
        return Finding.ok("clock", "environment", f"This machine and the warehouse agree within {SKEW_S} s.")
    return Finding.warn(
        "clock",
        "environment",
        f"This machine's clock is {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} the warehouse's.",
        "Set it by NTP: Airflow's schedules use this clock, the ledger uses the warehouse's.",
    )


def _role_problems(cursor: Cursor) -> Iterator[str]:
    execute(cursor, "role_powers", roles=[OWNER, *RUNTIME])
    powers = ("SUPERUSER", "CREATEDB", "REPLICATION", "BYPASSRLS", "CREATEROLE")
    found = {name: dict(zip(powers, has, strict=True)) for name, *has in cursor.fetchall()}
    yield from (f"{role} does not exist" for role in (OWNER, *RUNTIME) if role not in found)
    for role, has in found.items():
        allowed = ("CREATEROLE",) if role == OWNER else ()  # migrations may make roles
        yield from (f"{role} is {power}" for power in powers if has[power] and power not in allowed)
    execute(cursor, "role_memberships", roles=list(RUNTIME))
    yield from (f"{member} is a member of {group}" for member, group in cursor.fetchall())


def _grant_problems(cursor: Cursor) -> Iterator[str]:
    """Compare the rights on every table, column and function of the ledger with the lists above."""
    execute(cursor, "table_rights", roles=[*RUNTIME, "public"])
    for role, table, right in cursor.fetchall():
        if right != "INSERT" or table not in _MAY_INSERT.get(role, ()):
            yield f"{role} may {right} {table}"
    execute(cursor, "column_rights", roles=[*RUNTIME, "public"])
    for role, table, columns in cursor.fetchall():
        extra = [name for name in columns if name not in _MAY_UPDATE.get((role, table), ())]
        if extra:
            yield f"{role} may UPDATE {table} ({', '.join(extra)})"
    execute(cursor, "owned_tables", roles=list(RUNTIME))
    yield from (f"{role} owns {name}" for role, name in cursor.fetchall())
    execute(cursor, "creation_rights", roles=[*RUNTIME, "public"])
    yield from (f"{role} may create in schema {name}" for role, name in cursor.fetchall())
    yield from _function_problems(cursor)


def _function_problems(cursor: Cursor) -> Iterator[str]:
    execute(cursor, "function_rights", roles=[*RUNTIME, "public"])
    for role, name in cursor.fetchall():
        if role not in _MAY_NOT_CALL or name in _MAY_NOT_CALL[role]:
            yield f"{role} may call {name}"
    execute(cursor, "functions_without_search_path")
    yield from (f"function {name} has no fixed search path that ends in pg_temp" for (name,) in cursor.fetchall())


def _trigger_problems(cursor: Cursor) -> Iterator[str]:
    execute(cursor, "append_only_tables")
    guarded = {name for (name,) in cursor.fetchall()}
    yield from (f"tidemill.{name} is not protected" for name in APPEND_ONLY if name not in guarded)
