"""The audit: whether its chain is whole, and whether it agrees with what readers see.

The runtime roles write the audit and what it records in one transaction. So if the two differ, or the chain lacks a row
that was anchored outside the database, somebody with the owner's rights has changed one of them.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from tidemill.doctor.findings import Finding, judged
from tidemill.errors import ArtifactCorrupt
from tidemill.spec import ModelSpec
from tidemill.storage.audit_anchor import anchor_uri, is_in_chain, read_anchor
from tidemill.storage.store import Store
from tidemill.warehouse.connections import Cursor
from tidemill.warehouse.statements import execute

__all__ = ["check_anchor", "check_audit", "check_declaration", "check_deployments", "check_pointers", "check_records"]

START = "0" * 64  # predecessor's hash in the first row of the audit
N_FETCHED = 10_000  # rows of the audit in memory at a time
_INVESTIGATE = "Find out who had the owner's rights since the last good check, and compare with a backup"


def check_audit(cursor: Cursor) -> Finding:
    """Check the audit's chain row by row; compute each hash here instead of trusting the database's function."""
    problems, before, n_rows = [], START, 0
    for audit_id, previous, found, content in _audit_rows(cursor):
        if previous != before:
            problems.append(f"before row {audit_id} something was removed or inserted")
        if hashlib.sha256(content.encode()).hexdigest() != found:
            problems.append(f"row {audit_id} has been changed")
        before, n_rows = found, n_rows + 1
    execute(cursor, "decisions_without_audit")
    problems += [f"decision {decision_id} has no row" for (decision_id,) in cursor.fetchall()]
    execute(cursor, "answers_without_question")
    problems += [f"decision {n} ({kind}) names {by!r}, whom no task had asked" for n, kind, by in cursor.fetchall()]
    return judged(
        "audit", "ledger", problems, f"The chain of {n_rows} rows is whole.", f"{_INVESTIGATE}; do not repair it."
    )


def check_anchor(cursor: Cursor, store: Store, model: str) -> Finding:
    """Check that the audit contains the row anchored beside a model's artifacts, so its end has not been cut off."""
    try:
        anchor = read_anchor(store, model)
    except ArtifactCorrupt as error:
        return Finding.fail("anchor", model, error.problem, f"{_INVESTIGATE} of the storage.")
    if anchor is None:
        return Finding.ok("anchor", model, "Nothing is anchored yet; the next publication or promotion does it.")
    if is_in_chain(cursor, anchor):
        return Finding.ok("anchor", model, f"The audit contains row {anchor.audit_id}, which was anchored last.")
    return Finding.fail(
        "anchor",
        model,
        f"The audit was cut or replaced: it lacks row {anchor.audit_id} of {anchor.done_at} with hash {anchor.hash}.",
        f"{_INVESTIGATE}. If the database was restored from an older backup, remove {anchor_uri(model)} from the storage.",
    )


def check_pointers(cursor: Cursor, model: str) -> Finding:
    """Check that readers see exactly the runs that ledger and audit say are published, as their releases decide."""
    execute(cursor, "wrong_pointers", model=model)
    problems = [
        f"{partition}: a run is 'published' and not visible"
        if shown is None
        else f"{partition}: the visible run {shown} is not 'published'"
        for partition, shown, _ in cursor.fetchall()
    ]
    execute(cursor, "audited_publications", model=model)
    for partition, audited, visible in cursor.fetchall():
        problems += [f"{partition}: {said}" for said in _differences(audited, visible, "published", "previous")]
    problems += _unlike_their_releases(cursor, model)
    execute(cursor, "audited_declaration", model=model)
    for audited, declared in cursor.fetchall():
        problems += [f"the view: {said}" for said in _differences(audited, declared, "declared")]
    return judged(
        "pointers",
        model,
        problems,
        "What readers see is what the ledger calls published and the audit says.",
        f"{_INVESTIGATE}; then score them again: 'tidemill predict {model} --partition … --again'.",
    )


def check_declaration(cursor: Cursor, spec: ModelSpec) -> Finding:
    """Compare what the model's view was declared with, which the writer may do, with the spec."""
    execute(cursor, "declaration", model=spec.model)
    wanted = (spec.entity_key, spec.time_column, spec.task)
    problems = [
        f"its {what} is {found!r}, the spec says {said!r}"
        for declared in cursor.fetchall()
        for what, found, said in zip(("key", "time", "task"), declared, wanted, strict=True)
        if found != said
    ]
    if not problems:
        return Finding.ok("declaration", spec.model, "The view has the key, the time and the task of the spec.")
    return Finding.warn(
        "declaration",
        spec.model,
        f"The view predictions.{spec.model} was declared otherwise: {'; '.join(problems)}.",
        "If the spec has changed, the next prediction declares it; if not, find the event 'declare' in tidemill.audit.",
    )


def check_records(cursor: Cursor, model: str) -> Finding:
    """Check claims and snapshots, which decide which attempt may publish, and what was read from the source."""
    execute(cursor, "wrong_claims", model=model)
    problems = [
        f"{partition}: its claim has token {token}; the newest of its runs has {used}, and {given} were given out"
        for partition, token, used, given in cursor.fetchall()
    ]
    execute(cursor, "snapshots_unlike_their_step", model=model)
    problems += [
        f"{partition}: the row of snapshot {digest} is not what run {run} recorded"
        for partition, digest, run in cursor.fetchall()
    ]
    return judged(
        "records",
        model,
        problems,
        "Claims hold tokens that were given out, and snapshots are as their steps recorded them.",
        f"{_INVESTIGATE}; then score the partition again: 'tidemill predict {model} --partition … --again'.",
    )


def check_deployments(cursor: Cursor, model: str) -> Finding:
    """Check that every deployment is in the audit, and that the champion follows from them."""
    execute(cursor, "deployments_without_audit", model=model)
    problems = [f"deployment {n} ({kind} of release {of}) is not in the audit" for n, kind, of in cursor.fetchall()]
    execute(cursor, "audited_deployments_gone", model=model)
    problems += [f"deployment {n} ({kind} of release {of}) is only in the audit" for n, kind, of in cursor.fetchall()]
    execute(cursor, "wrong_champion", model=model)
    problems += [f"the champion is release {is_}, by its deployments {should}" for is_, should in cursor.fetchall()]
    return judged(
        "deployments",
        model,
        problems,
        "Every deployment is in the audit, and the champion follows from them.",
        f"{_INVESTIGATE}; then promote the right release: 'tidemill promote {model} … --reason …'.",
    )


def _unlike_their_releases(cursor: Cursor, model: str) -> Iterator[str]:
    """Yield the runs that the writer opened for a release of another model, or with a threshold of its own."""
    execute(cursor, "publications_unlike_releases", model=model)
    for partition, run, release, judged_model, threshold, judged_threshold in cursor.fetchall():
        if judged_model != model:
            yield f"{partition}: run {run} names release {release}, which is of model {judged_model!r}"
        else:
            yield f"{partition}: run {run} decides at {threshold!r}, its release {release} at {judged_threshold!r}"


def _differences(
    audited: dict[str, Any] | None, found: dict[str, Any] | None, verb: str, *besides: str
) -> Iterator[str]:
    """Yield the differences between the audit's newest event and what readers see."""
    if audited is None:
        yield f"nothing in the audit says that it was {verb}"
    elif found is None:
        yield f"the audit says that run {audited.get('prediction_run_id')} was {verb}, and nothing is visible"
    else:
        for name in sorted((audited.keys() | found.keys()) - set(besides)):
            if audited.get(name) != found.get(name):
                yield f"{name} is {found.get(name)!r}, {verb} was {audited.get(name)!r}"


def _audit_rows(cursor: Cursor) -> Iterator[tuple[int, str, str, str]]:
    """Yield the id, predecessor's hash, own hash and hashed content of each row, oldest first."""
    last = 0
    while True:
        execute(cursor, "audit_rows", after=last, limit=N_FETCHED)
        rows = cursor.fetchall()
        if not rows:
            return
        yield from rows
        last = rows[-1][0]
