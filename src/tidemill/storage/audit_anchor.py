"""The audit's head (its newest row), anchored outside the database: beside the model's artifacts and in the log.

Somebody with the owner's rights can cut off the audit's end, and what remains is a valid chain. An anchor reveals the
cut: it is a row, with its hash, that the chain must contain. Alert messages carry the head too.
"""

import json
import logging
from dataclasses import dataclass

from pydantic import ValidationError

from tidemill.errors import ArtifactCorrupt, SettingsError, StorageFull, StorageRefused, StorageUnavailable
from tidemill.records import Record
from tidemill.storage.store import Store
from tidemill.warehouse.connections import Cursor, fetch_one, transaction
from tidemill.warehouse.statements import execute
from tidemill.workspace import LEDGER, Workspace

__all__ = ["Anchor", "anchor_audit", "anchor_uri", "is_in_chain", "read_anchor"]

_LATER = (SettingsError, StorageFull, StorageRefused, StorageUnavailable)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor(Record):
    """A row of the audit that was the newest when it was anchored."""

    audit_id: int
    """Row in ``tidemill.audit``."""
    hash: str
    """Its hash, which covers all rows before it."""
    done_at: str
    """When it was appended, by the database's clock."""


def anchor_uri(model: str) -> str:
    """Return the place of a model's anchor, relative to the storage root."""
    return f"{model}/audit/head.json"


def read_anchor(store: Store, model: str) -> Anchor | None:
    """Return the anchor beside a model's artifacts, or None if there is none.

    Raises
    ------
    ArtifactCorrupt
        If the file is not an anchor.
    """
    content = store.noted(anchor_uri(model))
    if content is None:
        return None
    try:
        return Anchor.from_dict(json.loads(content))
    except (ValueError, ValidationError) as error:
        raise ArtifactCorrupt(
            f"{anchor_uri(model)} in {store.place} is not an anchor of the audit.", "Restore it from a backup."
        ) from error


def is_in_chain(cursor: Cursor, anchor: Anchor) -> bool:
    """Whether the audit still contains an anchored row unchanged."""
    execute(cursor, "audit_row", audit_id=anchor.audit_id)
    return cursor.fetchone() == (anchor.hash,)


def anchor_audit(workspace: Workspace, model: str) -> None:
    """Anchor the audit's head in the log and beside a model's artifacts.

    An anchor that the chain no longer contains stays, so that the doctor reports the cut. If the storage does not accept
    the new anchor, the older one stays and the log gives the reason; the publication stands.
    """
    store = Store.of(workspace)
    with transaction(workspace.connection(LEDGER)) as cursor:
        execute(cursor, "audit_head")
        head = fetch_one(cursor, Anchor)
        if head is None:
            return
        _log.info("Audit head: row %d, hash %s.", head.audit_id, head.hash)
        try:
            kept = read_anchor(store, model)
            if kept is not None and not is_in_chain(cursor, kept):
                _log.error("The audit lacks row %d, which was anchored: run 'tidemill doctor'.", kept.audit_id)
            elif kept is None or kept.audit_id < head.audit_id:
                store.note(anchor_uri(model), json.dumps(head.to_dict()).encode())
        except (ArtifactCorrupt, *_LATER) as error:
            _log.warning("The audit's head is not anchored: %s", error)
