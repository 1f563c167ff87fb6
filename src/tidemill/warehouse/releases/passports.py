"""Releases that are carried between ledgers: what goes along, and what stays on record of where they come from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.records import Decision, Passport, Verdict
from tidemill.warehouse.connections import fetch_value, transaction
from tidemill.warehouse.ledger import keep_documents

__all__ = ["Passports"]


@dataclass(frozen=True, slots=True)
class Passports:
    """The ledger's view of releases that leave it or have come to it."""

    url: str
    """Connection; reading needs any role, writing ``tidemill_writer``."""

    def known(self, model: str, release_id: int, champion: int | None) -> dict[str, Any]:
        """Return what else a passport says of a release: figures, decisions, deployments, and whose ledger it is."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "SELECT r.metric, r.metric_value, r.learnt_until, r.requested_by,"
                " (SELECT hash FROM tidemill.audit ORDER BY audit_id LIMIT 1) AS ledger,"
                " (SELECT bundle_digest FROM tidemill.release c WHERE c.model = r.model AND c.release_id = %s)"
                " AS champion_digest FROM tidemill.release r WHERE r.model = %s AND r.release_id = %s",
                (champion, model, release_id),
            )
            names = [column.name for column in cursor.description or ()]
            found = dict(zip(names, cursor.fetchone() or (), strict=True))
            cursor.execute(_DECISIONS, (model, release_id))
            decisions = [
                Decision(kind=kind, verdict=Verdict(verdict), reasons=tuple(reasons), by=by)
                for kind, verdict, reasons, by in cursor.fetchall()
            ]
            cursor.execute(
                "SELECT to_char(deployed_at, 'YYYY-MM-DD HH24:MI') || ' UTC, ' || kind || ' by ' || approved_by || ': '"
                " || reason"
                " FROM tidemill.deployment WHERE model = %s AND release_id = %s ORDER BY deployment_id",
                (model, release_id),
            )
            deployments = tuple(row[0] for row in cursor.fetchall())
        return found | {"decision": decisions[0], "approvals": tuple(decisions[1:]), "deployments": deployments}

    def release(self, model: str, partition: str, bundle_digest: str) -> int | None:
        """Return the number of a bundle's release, or None if it has none here."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "SELECT max(release_id) FROM tidemill.release WHERE model = %s AND partition = %s AND bundle_digest = %s",
                (model, partition, bundle_digest),
            )
            number = fetch_value(cursor)
            return None if number is None else int(number)

    def decision(self, model: str, archive: str) -> Decision | None:
        """Return what the gate has said here of an archive, or None if it was not asked yet."""
        with transaction(self.url) as cursor:
            cursor.execute(
                "SELECT decision_id, verdict, reasons FROM tidemill.decision WHERE model = %s AND kind = 'accept'"
                " AND evidence ->> 'archive' = %s ORDER BY decision_id LIMIT 1",
                (model, archive),
            )
            row = cursor.fetchone()
        if row is None:
            return None
        return Decision(kind="accept", verdict=Verdict(row[1]), reasons=tuple(row[2]), decision_id=row[0])

    def keep_documents(self, documents: Mapping[str, str]) -> None:
        """Keep the texts that the release's digests are of."""
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
            cursor.execute(
                "SELECT tidemill.append_audit('import', %(model)s, %(details)s) WHERE NOT EXISTS (SELECT FROM tidemill.audit"
                " WHERE event = 'import' AND model = %(model)s AND details ->> 'archive' = %(archive)s)",
                {"model": model, "details": json.dumps(details), "archive": archive},
            )


_DECISIONS = """
SELECT d.kind, d.verdict, d.reasons, coalesce(d.evidence ->> 'by', '') FROM tidemill.release r
JOIN tidemill.decision d ON d.decision_id = r.decision_id
    OR (d.model = r.model AND d.kind = 'approve' AND d.evidence ->> 'decision_id' = r.decision_id::text)
WHERE r.model = %s AND r.release_id = %s ORDER BY d.kind, d.decision_id
"""
