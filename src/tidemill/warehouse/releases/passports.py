"""Passports of releases that move between ledgers: the facts that travel with them, and the record of their origin."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.records import Decision, Passport, Verdict
from tidemill.warehouse.connections import fetch_dicts, fetch_value, transaction
from tidemill.warehouse.ledger import keep_documents
from tidemill.warehouse.statements import execute

__all__ = ["Passports"]


@dataclass(frozen=True, slots=True)
class Passports:
    """The ledger's view of exported and imported releases."""

    url: str
    """Connection; reading needs any role, writing ``tidemill_writer``."""

    def known(self, model: str, release_id: int, champion: int | None) -> dict[str, Any]:
        """Return the rest of a release's passport: figures, decisions, deployments, and the ledger's identity."""
        with transaction(self.url) as cursor:
            execute(cursor, "passport_figures", champion=champion, model=model, release_id=release_id)
            [found] = fetch_dicts(cursor)
            execute(cursor, "passport_decisions", model=model, release_id=release_id)
            decisions = [
                Decision(kind=kind, verdict=Verdict(verdict), reasons=tuple(reasons), by=by)
                for kind, verdict, reasons, by in cursor.fetchall()
            ]
            execute(cursor, "passport_deployments", model=model, release_id=release_id)
            deployments = tuple(row[0] for row in cursor.fetchall())
        return found | {"decision": decisions[0], "approvals": tuple(decisions[1:]), "deployments": deployments}

    def release(self, model: str, partition: str, bundle_digest: str) -> int | None:
        """Return the number of a bundle's release here, or None."""
        with transaction(self.url) as cursor:
            execute(cursor, "release_of_bundle", model=model, partition=partition, bundle_digest=bundle_digest)
            number = fetch_value(cursor)
            return None if number is None else int(number)

    def decision(self, model: str, archive: str) -> Decision | None:
        """Return this environment's decision about an archive, or None if there is none yet."""
        with transaction(self.url) as cursor:
            execute(cursor, "decision_about_archive", model=model, archive=archive)
            row = cursor.fetchone()
        if row is None:
            return None
        return Decision(kind="accept", verdict=Verdict(row[1]), reasons=tuple(row[2]), decision_id=row[0])

    def keep_documents(self, documents: Mapping[str, str]) -> None:
        """Store the texts behind the release's digests."""
        with transaction(self.url) as cursor:
            keep_documents(cursor, documents)

    def note_import(self, model: str, release_id: int, archive: str, passport: Passport, by: str) -> None:
        """Append to the audit where a release comes from, once."""
        details = {
            "release_id": release_id,
            "archive": archive,
            "by": by,
            "origin": {"ledger": passport.ledger, "release_id": passport.release_id},
        }
        with transaction(self.url) as cursor:
            execute(cursor, "record_import", model=model, details=json.dumps(details), archive=archive)
