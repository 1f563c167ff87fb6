-- name: fit_costs
-- The cost of the newest fit of each bundle.
SELECT DISTINCT ON (digest) result ->> 'digest' AS digest, started_at, wall_s, cpu_s, peak_rss_bytes
FROM tidemill.run
WHERE model = %(model)s AND partition = %(partition)s AND step = 'train' AND status = 'succeeded'
    AND result ->> 'digest' = ANY(%(digests)s)
ORDER BY digest, run_id DESC;

-- name: unhold
-- Release a hold.
SELECT tidemill.unhold(%(model)s, %(what)s, %(name)s, %(why)s, %(by)s);

-- name: held
-- The holds of one model or of all.
SELECT model, what, name, why, held_by, held_at
FROM tidemill.held
WHERE model = coalesce(%(model)s, model)
ORDER BY model, what, name;

-- name: hold
-- Add a hold.
SELECT tidemill.hold(%(model)s, %(what)s, %(name)s, %(why)s, %(by)s);

-- name: release_origin
-- How a release was made, as of its newest judgement.
SELECT r.model, r.release_id, r.partition, r.known_until, r.estimator, r.bundle_digest, r.bundle_uri,
    r.snapshot_digest,
       r.split_digest, s.query_digest, r.spec_digest, r.code_version, r.lock_digest, r.evidence
FROM tidemill.release r JOIN tidemill.snapshot s ON (s.model, s.digest) = (r.model, r.snapshot_digest)
WHERE r.model = %(model)s AND r.release_id = %(release_id)s;

-- name: rows_origin
-- How the rows of a prediction run were made.
SELECT r.prediction_run_id, r.release_id, r.partition, s.cutoff, r.status, coalesce(r.checksum, '') AS checksum,
       r.snapshot_digest, s.query_digest, coalesce(step.spec_digest, '') AS spec_digest,
       coalesce(step.code_version, '') AS code_version, coalesce(step.lock_digest, '') AS lock_digest
FROM tidemill.prediction_run r JOIN tidemill.snapshot s ON (s.model, s.digest) = (r.model, r.snapshot_digest)
LEFT JOIN tidemill.run step ON step.run_id = r.run_id
WHERE r.model = %(model)s AND r.prediction_run_id = %(prediction_run_id)s;

-- name: snapshot
-- One snapshot, by its digest.
SELECT model, purpose, partition, digest, uri, n_rows, n_set_aside, size_bytes, start_at AS start, end_at AS end, cutoff,
    query_digest
FROM tidemill.snapshot
WHERE model = %(model)s AND digest = %(digest)s;

-- name: scored_rows
-- The rows of a prediction run as they are now.
SELECT entity_key, score
FROM tidemill.prediction
WHERE model = %(model)s AND prediction_run_id = %(prediction_run_id)s;

-- name: checksum
-- The checksum of a prediction run's rows as they are now, computed as tidemill.seal_prediction_run does.
SELECT to_hex(coalesce(bit_xor(
    tidemill.answer_hash(entity_key, score, predicted, probabilities, low, high, reasons)), 0))
FROM tidemill.prediction
WHERE model = %(model)s AND prediction_run_id = %(prediction_run_id)s;

-- name: document
-- The text of a digest.
SELECT content
FROM tidemill.document
WHERE digest = %(digest)s;

-- name: reproducible_releases
-- Releases that were trained here on data up to an instant, have served, and are still stored.
SELECT r.release_id FROM tidemill.release r
JOIN tidemill.snapshot s ON (s.model, s.digest) = (r.model, r.snapshot_digest)
WHERE r.model = %(model)s AND r.known_until <= %(known_until)s
  AND EXISTS (SELECT FROM tidemill.deployment d WHERE d.release_id = r.release_id AND d.kind <> 'rollback')
  AND r.run_id IS NOT NULL  -- the rows of an imported release are elsewhere
  AND NOT EXISTS (SELECT FROM tidemill.collected c WHERE c.model = r.model AND c.name IN (r.bundle_uri, s.uri))
ORDER BY r.release_id;

-- name: insert_reproduction
-- Record the result of rebuilding a release.
INSERT INTO tidemill.reproduction (model, release_id, prediction_run_id, verdict, steps, changes, as_declared,
    code_version, lock_digest, run_id)
VALUES (%(model)s, %(release_id)s, %(prediction_run_id)s, %(verdict)s, %(steps)s, %(changes)s, %(as_declared)s,
    %(code_version)s, %(lock_digest)s, %(run_id)s)
RETURNING reproduction_id;

-- name: passport_figures
-- Facts for a release's passport, besides its origin.
SELECT r.metric, r.metric_value, r.learnt_until, r.requested_by,
    (SELECT hash FROM tidemill.audit ORDER BY audit_id LIMIT 1) AS ledger,
    (SELECT bundle_digest FROM tidemill.registration c WHERE c.model = r.model AND c.release_id = %(champion)s)
        AS champion_digest
FROM tidemill.release r
WHERE r.model = %(model)s AND r.release_id = %(release_id)s;

-- name: passport_decisions
-- The gate's newest decision about a release, and its approvals.
SELECT d.kind, d.verdict, d.reasons, coalesce(d.evidence ->> 'by', '') FROM tidemill.release r
JOIN tidemill.decision d ON d.decision_id = r.decision_id
    OR (d.model = r.model AND d.kind = 'approve' AND d.evidence ->> 'decision_id' = r.decision_id::text)
WHERE r.model = %(model)s AND r.release_id = %(release_id)s ORDER BY d.kind, d.decision_id;

-- name: passport_deployments
-- The deployments of a release, in words.
SELECT to_char(deployed_at, 'YYYY-MM-DD HH24:MI') || ' UTC, ' || kind || ' by ' || approved_by || ': ' || reason
FROM tidemill.deployment
WHERE model = %(model)s AND release_id = %(release_id)s
ORDER BY deployment_id;

-- name: release_of_bundle
-- The release of a bundle, if this ledger has one.
SELECT max(release_id)
FROM tidemill.registration
WHERE model = %(model)s AND partition = %(partition)s AND bundle_digest = %(bundle_digest)s;

-- name: decision_about_archive
-- The gate's newest decision about an imported archive.
SELECT decision_id, verdict, reasons
FROM tidemill.decision
WHERE model = %(model)s AND kind = 'accept' AND evidence ->> 'archive' = %(archive)s
ORDER BY decision_id DESC LIMIT 1;

-- name: record_import
-- Append to the audit, once, where a release comes from.
SELECT tidemill.append_audit('import', %(model)s, %(details)s)
WHERE NOT EXISTS (
    SELECT FROM tidemill.audit
    WHERE event = 'import' AND model = %(model)s AND details ->> 'archive' = %(archive)s
);

-- name: lock_champion
-- The champion of a model, locked until the transaction ends.
SELECT tidemill.lock_champion(%(model)s);

-- name: champion_id
-- The champion of a model.
SELECT release_id
FROM tidemill.champion
WHERE model = %(model)s;

-- name: live_releases
-- Releases that are or were live, the champion first, with the model time from which each serves.
SELECT release_id, live_from
FROM tidemill.live
WHERE model = %(model)s
ORDER BY live_from DESC, deployment_id DESC;

-- name: deploy
-- Record that a release goes live, also in the audit. Returns the new champion, or NULL if the old one is not as expected.
SELECT tidemill.deploy(%(model)s, %(release_id)s, %(previous)s, %(kind)s, %(live_from)s, %(approved_by)s, %(reason)s);

-- name: live_from
-- Model time from which the champion serves.
SELECT d.live_from
FROM tidemill.deployment d
JOIN tidemill.champion c USING (deployment_id)
WHERE c.model = %(model)s;

-- name: deployments
-- All deployments, newest first.
SELECT live_from, release_id, previous_release_id, kind, approved_by, reason, deployed_at
FROM tidemill.deployment
WHERE model = %(model)s
ORDER BY deployment_id DESC;

-- name: n_looks
-- How many trainings as of other partitions the gate has compared with a champion, dry runs included.
SELECT count(DISTINCT partition)
FROM tidemill.decision
WHERE model = %(model)s AND kind = 'accept' AND evidence ->> 'champion_release' = %(champion)s::text
    AND partition <> %(partition)s;

-- name: undone_releases
-- Releases that were rolled back and have not been promoted again since.
SELECT DISTINCT previous_release_id
FROM tidemill.deployment
WHERE model = %(model)s AND kind = 'rollback' 
    AND previous_release_id NOT IN (SELECT release_id FROM tidemill.live WHERE model = %(model)s);

-- name: mirrored_champion
-- The champion as MLflow should show it.
SELECT release_id, bundle_digest, bundle_uri, mlflow_run_id, run_id IS NULL AS imported
FROM tidemill.release
JOIN tidemill.champion USING (release_id)
WHERE champion.model = %(model)s;

-- name: find_release
-- One release with its newest judgement. The newest answer of a person about any of its judgements decides whether it counts
-- as rejected; no answer is not a rejection.
SELECT r.release_id, r.bundle_digest, r.bundle_uri, r.snapshot_digest, r.known_until, r.metric, r.metric_value,
    r.learnt_until, r.evidence, r.partition, r.decision_id, r.requested_by,
    (SELECT verdict FROM tidemill.decision d WHERE d.decision_id = r.decision_id) AS verdict,
    (SELECT CASE WHEN d.evidence ->> 'approved' = 'false' THEN d.evidence ->> 'by' END
     FROM tidemill.decision d
     JOIN tidemill.judgement j ON j.release_id = r.release_id AND d.evidence ->> 'decision_id' = j.decision_id::text
     WHERE d.model = r.model AND d.kind = 'approve' AND d.evidence ->> 'by' <> ''
     ORDER BY d.decision_id DESC LIMIT 1) AS refused_by
FROM tidemill.release r
WHERE r.model = %(model)s AND r.release_id = %(release_id)s;

-- name: list_releases
-- Every release of a model with its newest judgement and the gate's reasons, newest first.
SELECT r.release_id, r.partition, g.estimator, r.metric, r.metric_value,
    coalesce((SELECT CASE WHEN a.evidence ->> 'approved' = 'false' THEN 'refused by ' || (a.evidence ->> 'by') END
              FROM tidemill.decision a
              JOIN tidemill.judgement j
                  ON j.release_id = r.release_id AND a.evidence ->> 'decision_id' = j.decision_id::text
              WHERE a.model = r.model AND a.kind = 'approve' AND a.evidence ->> 'by' <> ''
              ORDER BY a.decision_id DESC LIMIT 1), d.verdict) AS verdict,
    CASE WHEN c.release_id IS NOT NULL THEN 'champion'
         WHEN s.release_id IS NOT NULL THEN format('in the shadow until %%s', to_char(s.ends_at, 'YYYY-MM-DD'))
         WHEN EXISTS (SELECT FROM tidemill.deployment p WHERE p.release_id = r.release_id) THEN 'was live'
         ELSE 'never' END AS live,
    d.reasons
FROM tidemill.release r
JOIN tidemill.registration g USING (release_id)
JOIN tidemill.decision d ON d.decision_id = r.decision_id
LEFT JOIN tidemill.champion c ON c.model = r.model AND c.release_id = r.release_id
LEFT JOIN tidemill.shadow s ON (s.model, s.release_id, s.state) = (r.model, r.release_id, 'running')
WHERE r.model = %(model)s
ORDER BY r.release_id DESC;

-- name: newest_release_id
-- The release whose training as of an earlier partition is the newest.
SELECT release_id
FROM tidemill.release
WHERE model = %(model)s AND known_until < %(cutoff)s
ORDER BY known_until DESC, release_id DESC LIMIT 1;

-- name: live_release_id
-- The release that was live for a partition's cutoff; a release that was rolled back never was.
SELECT release_id
FROM tidemill.live
WHERE model = %(model)s AND live_from <= %(cutoff)s
ORDER BY live_from DESC, deployment_id DESC LIMIT 1;

-- name: insert_registration
-- Register a bundle, once per partition.
INSERT INTO tidemill.registration (model, bundle_digest, bundle_uri, partition, estimator)
VALUES (%(model)s, %(bundle_digest)s, %(bundle_uri)s, %(partition)s, %(estimator)s)
ON CONFLICT (model, partition, bundle_digest) DO NOTHING;

-- name: insert_judgement
-- Record a judgement of a registered bundle; the same decision again changes nothing.
INSERT INTO tidemill.judgement (release_id, decision_id, model, snapshot_digest, split_digest, metric, metric_value,
    evidence, learnt_until, known_until, spec_digest, code_version, lock_digest, run_id, requested_by)
VALUES (%(release_id)s, %(decision_id)s, %(model)s, %(snapshot_digest)s, %(split_digest)s, %(metric)s,
    %(metric_value)s, %(evidence)s, %(learnt_until)s, %(known_until)s, %(spec_digest)s, %(code_version)s,
    %(lock_digest)s, %(run_id)s, %(requested_by)s)
ON CONFLICT (release_id, decision_id) DO NOTHING;

-- name: newest_judgement
-- The newest decision about a release, and its verdict.
SELECT decision_id, verdict
FROM tidemill.release
JOIN tidemill.decision USING (decision_id)
WHERE release.model = %(model)s AND release_id = %(release_id)s;

-- name: note_mlflow_run
-- Record where MLflow shows the training of a release.
UPDATE tidemill.registration
SET mlflow_run_id = %(mlflow_run_id)s
WHERE release_id = %(release_id)s;
