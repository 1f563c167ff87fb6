-- name: run_state
-- Status of a prediction run, and the newest decision about it if it was ever withheld.
SELECT r.status, d.kind, d.verdict, d.reasons, d.decision_id
FROM tidemill.prediction_run r
LEFT JOIN tidemill.decision d ON d.decision_id = coalesce(r.resolution_id, r.inspection_id)
WHERE r.prediction_run_id = %(prediction_run_id)s;

-- name: withhold
-- Withhold a written run, and record why.
SELECT tidemill.withhold(%(prediction_run_id)s, %(reasons)s, %(evidence)s, %(run_id)s);

-- name: resolve
-- Publish or discard a withheld run, and record who decided.
SELECT tidemill.resolve(%(prediction_run_id)s, %(verdict)s, %(reasons)s, %(by)s, %(marked)s, %(run_id)s);

-- name: withheld_runs
-- The withheld runs of a model, or of one of its partitions, in order of key.
SELECT r.model, r.partition, r.prediction_run_id, r.release_id, r.token, r.n_rows, r.n_set_aside, r.checksum, r.mean_score, d.reasons,
    d.evidence -> 'rules' AS rules, d.evidence ->> 'requested_by' AS requested_by, d.run_id, r.status_since AS since
FROM tidemill.prediction_run r
JOIN tidemill.decision d ON d.decision_id = r.inspection_id
WHERE r.model = %(model)s AND r.status = 'withheld' AND (%(partition)s::text IS NULL OR r.partition = %(partition)s)
ORDER BY r.partition;
