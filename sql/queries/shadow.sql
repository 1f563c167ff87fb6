-- name: running_shadow
-- The release of a model that scores in the shadow now.
SELECT shadow_id, release_id, against, role, decision_id, starts_at AS start, ends_at AS end, margin
FROM tidemill.shadow
WHERE model = %(model)s AND state = 'running';

-- name: start_shadow
-- Let a release score in the shadow, also in the audit; NULL if that cannot be.
SELECT tidemill.start_shadow(%(model)s, %(release_id)s, %(against)s, %(role)s, %(decision_id)s, %(start)s, %(end)s,
    %(margin)s);

-- name: end_shadow
-- Record how a release in the shadow has ended, also in the audit; once.
SELECT tidemill.end_shadow(%(shadow_id)s, %(state)s);

-- name: shadow_verdict
-- The newest decision about a release in the shadow.
SELECT verdict, reasons, decision_id
FROM tidemill.decision
WHERE model = %(model)s AND kind = 'shadow' AND evidence #>> '{shadow,shadow_id}' = %(shadow_id)s::text
ORDER BY decision_id DESC LIMIT 1;

-- name: shadow_runs
-- The newest run of a release on each scored snapshot that was sealed and never published.
SELECT DISTINCT ON (partition, snapshot_digest) partition, snapshot_digest, prediction_run_id, threshold
FROM tidemill.prediction_run
WHERE model = %(model)s AND release_id = %(release_id)s AND status = 'written'
ORDER BY partition, snapshot_digest, prediction_run_id DESC;
