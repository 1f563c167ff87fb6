"""What must be equal between a clean run and one that was killed and run again; ids and times may differ."""

import hashlib
import json
from typing import Any

from tidemill.storage.bundles import bundle_digest
from tidemill.storage.store import digest_folder

from ..integration.data import Mill

_QUERIES = {
    "rows": """SELECT partition, parcel_id, shipped_at, score, predicted_label, simulated
               FROM predictions.{m} ORDER BY partition, parcel_id""",
    "published": """SELECT p.partition, r.n_rows, r.checksum, r.mean_score, r.threshold, r.snapshot_digest, e.bundle_digest
                    FROM tidemill.published p JOIN tidemill.prediction_run r USING (prediction_run_id)
                    JOIN tidemill.release e USING (release_id) WHERE p.model = '{m}' ORDER BY p.partition""",
    "withheld": """SELECT DISTINCT r.partition, r.status, r.n_rows, r.checksum, w.reasons, d.verdict, d.reasons
                   FROM tidemill.prediction_run r JOIN tidemill.decision w ON w.decision_id = r.inspection_id
                   LEFT JOIN tidemill.decision d ON d.decision_id = r.resolution_id
                   WHERE r.model = '{m}' AND r.status <> 'stale' ORDER BY 1""",
    "quarantine": """SELECT DISTINCT partition, row_number, entity_key, expectation, column_name, value
                     FROM tidemill.quarantine WHERE model = '{m}' ORDER BY 1, 2, 4""",
    "alerts": "SELECT rule, status FROM tidemill.alert WHERE model = '{m}' AND rule LIKE 'withheld:%%' ORDER BY 1",
    "champion": """SELECT e.partition, e.bundle_digest, d.kind, d.live_from FROM tidemill.champion c
                   JOIN tidemill.release e USING (release_id) JOIN tidemill.deployment d USING (deployment_id)
                   WHERE c.model = '{m}'""",
    "release": """SELECT partition, bundle_digest, snapshot_digest, split_digest, estimator, metric, metric_value,
                         learnt_until, known_until
                  FROM tidemill.release WHERE model = '{m}' ORDER BY partition, bundle_digest""",
    "deployment": """SELECT d.kind, d.live_from, d.approved_by, d.reason, e.bundle_digest, e.partition, f.partition
                     FROM tidemill.deployment d JOIN tidemill.release e USING (release_id)
                     LEFT JOIN tidemill.release f ON f.release_id = d.previous_release_id
                     WHERE d.model = '{m}' ORDER BY d.deployment_id""",
    # Append-only: a step that died after deciding decides the same again.
    # Time and memory of scoring differ each time.
    "decision": """SELECT DISTINCT partition, kind, verdict,
                          (SELECT array_agg(regexp_replace(said, ' takes [0-9.,]+', ' takes …')) FROM unnest(reasons) said)
                   FROM tidemill.decision WHERE model = '{m}' ORDER BY 1, 2, 3""",
    "snapshot": "SELECT purpose, partition, digest, n_rows FROM tidemill.snapshot WHERE model = '{m}' ORDER BY digest",
    "publishes": """SELECT details->>'partition', details->>'n_rows', details->>'checksum' FROM tidemill.audit
                    WHERE model = '{m}' AND event = 'publish' ORDER BY audit_id""",
    "deploys": """SELECT event FROM tidemill.audit WHERE model = '{m}' AND event IN ('promote', 'force', 'rollback')
                  ORDER BY audit_id""",
}


def what_counts(mill: Mill, *, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return every table of a model that counts, and the names of its stored artifacts, all of them checked."""
    exists = mill.sql("SELECT to_regclass('predictions.{m}') IS NOT NULL") == [(True,)]
    found: dict[str, Any] = {
        name: mill.sql(query) for name, query in _QUERIES.items() if name not in but and (name != "rows" or exists)
    }
    return found | {"artifacts": artifacts(mill)}


def digest(counted: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(counted, sort_keys=True, default=str).encode()).hexdigest()


def artifacts(mill: Mill) -> list[str]:
    """Snapshots, splits and bundles; a folder under its final name must be whole. Pages show times and are left out."""
    found = []
    for kind in ("snapshots", "splits", "bundles"):
        for folder in sorted((mill.workspace.storage / mill.model / kind).glob("[0-9a-f]*")):
            actual = bundle_digest(folder) if kind == "bundles" else digest_folder(folder)
            assert actual == folder.name, f"{folder} is damaged"
            found.append(f"{kind}/{folder.name}")
    return found


def check_history(mill: Mill, partition: str) -> int:
    """Check that the publishes of a partition are one serial chain that ends at the pointer; return their number."""
    events = mill.sql(
        "SELECT (details->>'prediction_run_id')::bigint, (details->>'previous')::bigint FROM tidemill.audit"
        " WHERE model = '{m}' AND event = 'publish' AND details->>'partition' = %s ORDER BY audit_id",
        partition,
    )
    runs = [run for run, _ in events]
    assert [previous for _, previous in events] == [None, *runs][: len(runs)], f"not a chain: {events}"
    pointer = mill.sql(
        "SELECT prediction_run_id FROM tidemill.published WHERE model = '{m}' AND partition = %s", partition
    )
    assert [run for (run,) in pointer] == runs[-1:]
    visible = (
        "SELECT count(*) FROM tidemill.prediction_run WHERE model = '{m}' AND partition = %s AND status = 'published'"
    )
    assert mill.sql(visible, partition) == [(min(len(runs), 1),)]
    return len(runs)
