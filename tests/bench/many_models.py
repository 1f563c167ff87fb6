"""A ledger of many models with a long past: one small model that was really trained, and copies of its rows by SQL.

A copy has its own champion, releases, runs, figures, examinations, alerts and failures. Figures of features, a hundred
million if every copy had them, are written for the copies that the bench opens: in the newest partitions, which the pages
show, and for the first copy in every partition.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from tidemill.spec import ModelSpec
from tidemill.workspace import Workspace

from ..chaos.server import ROLES, Server
from ..integration.data import SPEC, Mill, generate_parcels, load_parcels

SEED = "parcels"
N_OPENED = 20  # copies whose pages are opened
N_SHOWN = 30  # newest partitions whose features a page shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much past the ledger holds."""

    models: int
    partitions: int
    features: int

    @property
    def every(self) -> int:
        """Distance between the copies that are opened."""
        return max(1, self.models // N_OPENED)

    @property
    def opened(self) -> list[str]:
        """Names of the copies that are opened."""
        return [f"model_{number:03}" for number in range(1, self.models + 1, self.every)]


def trained_model(server: Server, files: Path) -> Mill:
    """Train, predict and monitor one small model, whose rows are copied."""
    workspace = Workspace(
        models=files / "models",
        sql=files / "sql",
        storage=server.home.storage,
        tracking_uri=None,
        connection=lambda name: server.url(ROLES[name]),
    )
    mill = Mill(model=SEED, workspace=workspace, owner_url=server.url("tidemill_owner"))
    load_parcels(mill.owner_url, SEED, generate_parcels(random_state=1))
    mill.write()
    mill.train()
    for partition in ("2024-03-25", "2024-03-26", "2024-03-27"):
        mill.predict(partition)
        mill.monitor(partition)
    return mill


def copy_models(mill: Mill, server: Server, size: Size, say: Callable[[str], None]) -> None:
    """Write the ledger of the copies, whose partitions end yesterday."""
    text = SPEC.replace("first: 2024-03-01, last: 2024-03-31", "first: 2015-01-01").replace("{model}", SEED)
    values = {**asdict(size), "every": size.every, "shown": N_SHOWN, "seed": SEED}
    values["meaning"] = ModelSpec.model_validate(yaml.safe_load(text)).meaning
    for statement in STATEMENTS:
        server.as_admin(statement, values=values)
        say(f"  {' '.join(statement.split()[:3])}")
    server.as_admin("VACUUM ANALYZE")


STATEMENTS = (
    """CREATE TABLE public.copied AS
    SELECT number, model, content, encode(sha256(content), 'hex') AS digest
    FROM generate_series(1, %(models)s) number, LATERAL (SELECT 'model_' || lpad(number::text, 3, '0') AS model) named,
        LATERAL (SELECT convert_to(replace(%(meaning)s, '"parcels', '"' || model), 'UTF8') AS content) written""",
    "CREATE TABLE public.key AS SELECT n, to_char(current_date - n::integer, 'YYYY-MM-DD') AS partition,"
    " now() - make_interval(days => n::integer) AS at FROM generate_series(1, %(partitions)s) n",
    "INSERT INTO tidemill.document (digest, kind, content) SELECT digest, 'spec', content FROM public.copied",
    """INSERT INTO tidemill.model (model, entity_key, event_time, task)
    SELECT c.model, entity_key, event_time, task FROM tidemill.model m, public.copied c WHERE m.model = %(seed)s""",
    """INSERT INTO tidemill.snapshot (digest, model, purpose, partition, start_at, end_at, cutoff, query_digest, uri, n_rows,
        size_bytes)
    SELECT s.digest, c.model, purpose, partition, start_at, end_at, cutoff, query_digest, uri, n_rows, size_bytes
    FROM tidemill.snapshot s, public.copied c WHERE s.model = %(seed)s""",
    # Three releases of each copy, of which the newest serves.
    """INSERT INTO tidemill.decision (model, partition, kind, verdict, reasons, evidence)
    SELECT c.model, k.partition, d.kind, d.verdict, d.reasons, d.evidence
    FROM public.copied c, public.key k, tidemill.decision d
    WHERE k.n IN (7, 14, 21) AND d.model = %(seed)s AND d.kind = 'accept'""",
    """INSERT INTO tidemill.registration (model, bundle_digest, bundle_uri, partition, estimator)
    SELECT d.model, r.bundle_digest, r.bundle_uri, d.partition, r.estimator
    FROM tidemill.registration r, tidemill.decision d WHERE r.model = %(seed)s AND d.model <> %(seed)s AND d.kind = 'accept'
    ORDER BY d.model, d.partition""",
    """INSERT INTO tidemill.judgement (release_id, decision_id, model, snapshot_digest, split_digest, metric, metric_value,
        evidence, learnt_until, known_until, spec_digest, code_version, lock_digest)
    SELECT r.release_id, d.decision_id, r.model, j.snapshot_digest, j.split_digest, j.metric, j.metric_value, j.evidence,
        j.learnt_until, j.known_until, c.digest, j.code_version, j.lock_digest
    FROM tidemill.registration r
    JOIN tidemill.decision d ON (d.model, d.partition, d.kind) = (r.model, r.partition, 'accept')
    JOIN public.copied c ON c.model = r.model
    JOIN tidemill.judgement j ON j.model = %(seed)s""",
    """INSERT INTO tidemill.deployment (model, release_id, previous_release_id, kind, live_from, approved_by, reason)
    SELECT model, release_id, NULL, 'promote', registered_at, 'gate', 'Better.' FROM tidemill.registration
    WHERE model <> %(seed)s ORDER BY release_id""",
    """INSERT INTO tidemill.champion (model, release_id, deployment_id)
    SELECT DISTINCT ON (model) model, release_id, deployment_id FROM tidemill.deployment WHERE model <> %(seed)s
    ORDER BY model, deployment_id DESC""",
    # The steps of each partition. What pages read of a step's record is where its report is.
    """CREATE TABLE public.step AS
    SELECT DISTINCT ON (chain, step) chain, step, wall_s, cpu_s, peak_rss_bytes, n_rows, code_version, lock_digest,
        jsonb_strip_nulls(jsonb_build_object('uri', CASE WHEN step = 'report' THEN result -> 'uri' END,
            'report_uri', CASE WHEN step = 'validate_data' THEN result -> 'report_uri' END,
            'ml_test_score', CASE WHEN step = 'report' THEN
                '{"data": 4, "model": 3, "infrastructure": 3, "monitoring": 3}'::jsonb END)) AS result
    FROM tidemill.run WHERE model = %(seed)s AND chain IN ('predict', 'monitor') ORDER BY chain, step, run_id DESC""",
    """INSERT INTO tidemill.run (model, chain, step, partition, status, result, dag_id, dag_run_id, task_id, try_number,
        code_version, spec_digest, lock_digest, started_at, ended_at, wall_s, cpu_s, peak_rss_bytes, n_rows)
    SELECT c.model, s.chain, s.step, k.partition, 'succeeded', s.result, c.model || '_' || s.chain,
        'scheduled__' || k.partition, s.step, 1, s.code_version, c.digest, s.lock_digest, k.at, k.at, s.wall_s, s.cpu_s,
        s.peak_rss_bytes, s.n_rows
    FROM public.key k, public.copied c, public.step s ORDER BY k.n DESC, c.model, s.chain DESC, s.step""",
    # Each tenth model has a failed step.
    """UPDATE tidemill.run SET status = 'failed', error = 'No rows.' WHERE chain = 'monitor' AND step = 'drift'
    AND partition = (SELECT partition FROM public.key WHERE n = 1)
    AND model IN (SELECT model FROM public.copied WHERE number %% 10 = 3)""",
    """INSERT INTO tidemill.prediction_run (model, partition, release_id, run_id, token, snapshot_digest, task, threshold,
        simulated, status, n_rows, n_extracted, n_set_aside, checksum, published_at)
    SELECT c.model, k.partition, champion.release_id, p.run_id, p.token, p.snapshot_digest, p.task, p.threshold, p.simulated,
        'published', p.n_rows, p.n_extracted, p.n_set_aside, p.checksum, k.at
    FROM public.key k CROSS JOIN public.copied c JOIN tidemill.champion USING (model),
        (SELECT * FROM tidemill.prediction_run WHERE model = %(seed)s AND status = 'published' LIMIT 1) p
    WHERE NOT (k.n < 3 AND c.number %% 20 = 4) ORDER BY k.n DESC, c.model""",  # each twentieth is late
    """INSERT INTO tidemill.published (model, partition, prediction_run_id, published_at)
    SELECT model, partition, prediction_run_id, published_at FROM tidemill.prediction_run WHERE model <> %(seed)s""",
    """INSERT INTO tidemill.audit (event, model, details, previous_hash, hash)
    SELECT 'publish', model, jsonb_build_object('partition', partition), '', '' FROM tidemill.published""",
    "CREATE TABLE public.drift AS SELECT model, partition, run_id FROM tidemill.run WHERE step = 'drift' AND model <> %(seed)s",
    "CREATE INDEX ON public.drift (model, partition)",
    # Ten figures of each partition.
    """INSERT INTO tidemill.metric (model, partition, part, name, slice, value, low, high, n, as_of, run_id)
    SELECT c.model, k.partition, f.part, f.name, f.slice, 0.7 + 0.05 * sin(k.n), 0.65, 0.8, 60, k.at, d.run_id
    FROM public.key k CROSS JOIN public.copied c JOIN public.drift d USING (model, partition), (VALUES
        ('performance', 'roc_auc', NULL), ('performance', 'roc_auc_recent', NULL), ('performance', 'roc_auc', 'carrier=A'),
        ('performance', 'roc_auc', 'carrier=B'), ('performance', 'log_loss', NULL), ('performance', 'brier', NULL),
        ('estimate', 'estimated_roc_auc', NULL), ('drift', 'drift_share', NULL), ('freshness', 'row_count', NULL),
        ('compute', 'predict_wall_s', NULL)) f (part, name, slice) ORDER BY k.n DESC, c.model""",
    # Seven figures of each feature.
    """INSERT INTO tidemill.metric (model, partition, part, name, feature, value, n, as_of, run_id)
    SELECT c.model, k.partition, 'drift', name, 'feature_' || lpad(f::text, 3, '0'),
        CASE name WHEN 'importance_share' THEN 1.0 / %(features)s WHEN 'psi_threshold' THEN 0.2
            ELSE 0.1 + 0.1 * sin(k.n * f) END, 60, k.at, d.run_id
    FROM public.key k CROSS JOIN public.copied c JOIN public.drift d USING (model, partition),
        generate_series(1, %(features)s) f, unnest(ARRAY['psi', 'psi_threshold', 'importance_share', 'jensen_shannon',
            'null_share', 'ks', 'wasserstein']) name
    WHERE (c.number - 1) %% %(every)s = 0 AND (c.number = 1 OR k.n <= %(shown)s) ORDER BY k.n DESC, c.model""",
    """INSERT INTO tidemill.examination (model, partition, parts, findings, run_id)
    SELECT model, partition, ARRAY['drift', 'performance', 'compute', 'freshness'], '[]', run_id FROM public.drift
    ORDER BY run_id""",
    # Each seventh model has an open alert.
    """INSERT INTO tidemill.alert (model, rule, severity, message, value, threshold, first_partition, last_partition, owner,
        told, told_partition, run_id)
    SELECT c.model, 'drift', CASE WHEN c.number %% 2 = 0 THEN 'fail' ELSE 'warn' END, 'Features have drifted.', 0.4, 0.3,
        k.partition, k.partition, '', '{"rule": "drift", "severity": "warn", "message": "Features have drifted.", "value": 0.4,
        "threshold": 0.3}', k.partition, d.run_id
    FROM public.copied c JOIN public.key k ON k.n = 2 JOIN public.drift d USING (model, partition) WHERE c.number %% 7 = 0""",
)
"""What fills the ledger, in order."""
