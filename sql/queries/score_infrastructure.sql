-- name: score_reproducibility
-- The newest attempt to build a release again: whether every step but the reading of the source is the same.
SELECT 'rebuilt' AS need, 'reproduction' AS kind, p.reproduction_id::text AS row_id, p.reproduced_at AS at,
    CASE WHEN jsonb_path_exists(p.steps, '$[*] ? (@.verdict == "different" && !(@.step starts with "extract"))') THEN 0
         WHEN run.dag_run_id ~ '^(scheduled|asset_triggered|backfill)__' THEN 1 ELSE 0.5 END AS worth,
    format('release %%s built again%%s: %%s', p.release_id,
           CASE WHEN run.dag_run_id ~ '^(scheduled|asset_triggered|backfill)__' THEN ' by the schedule' ELSE ' by hand' END,
           replace(p.verdict, '_', ' ')) AS shows
FROM tidemill.reproduction p
JOIN tidemill.run USING (run_id)
WHERE p.model = %(model)s
ORDER BY p.reproduction_id DESC LIMIT 1;

-- name: score_spec_tests
-- The behaviour checks of the champion.
WITH champion AS (
    SELECT r.* FROM tidemill.champion c JOIN tidemill.release r USING (model, release_id) WHERE c.model = %(model)s
), checks AS (
    SELECT count(*) AS n, count(*) FILTER (WHERE (b ->> 'passed')::boolean) AS n_passed, string_agg(b ->> 'name', ', ') AS names
    FROM champion, jsonb_array_elements(evidence -> 'behaviour') b
)
SELECT 'behaviour' AS need, 'judgement' AS kind, decision_id::text AS row_id, judged_at AS at,
    CASE WHEN n_passed = n THEN 1 ELSE 0 END AS worth, format('%%s of %%s checks passed: %%s', n_passed, n, names) AS shows
FROM champion, checks
WHERE n > 0;

-- name: score_integration_test
-- The newest rebuilding that ran from the source to the evaluation, apart from what serves.
SELECT 'rehearsed' AS need, 'reproduction' AS kind, p.reproduction_id::text AS row_id, p.reproduced_at AS at,
    CASE WHEN run.dag_run_id ~ '^(scheduled|asset_triggered|backfill)__' THEN 1 ELSE 0.5 END AS worth,
    format('%%s steps in a folder of their own: %%s', jsonb_array_length(p.steps),
           (SELECT string_agg(s ->> 'step', ', ') FROM jsonb_array_elements(p.steps) s)) AS shows
FROM tidemill.reproduction p
JOIN tidemill.run USING (run_id)
WHERE p.model = %(model)s
  AND p.steps @> '[{"step": "extract"}, {"step": "prepare"}, {"step": "train"}, {"step": "evaluate"}]'
ORDER BY p.reproduction_id DESC LIMIT 1;

-- name: score_validation
-- The gate's verdict about the champion, and how the champion went live.
SELECT 'gate' AS need, 'decision' AS kind, x.decision_id::text AS row_id, x.decided_at AS at,
    CASE WHEN x.verdict = 'accept' AND d.kind <> 'force' THEN 1 ELSE 0 END AS worth,
    format('release %%s: %%s by the gate, %%s', r.release_id, replace(x.verdict, '_', ' '),
           CASE d.kind WHEN 'force' THEN 'promoted against it' WHEN 'rollback' THEN 'serves after a rollback'
                       ELSE 'promoted' END) AS shows
FROM tidemill.champion c
JOIN tidemill.release r USING (model, release_id)
JOIN tidemill.decision x USING (decision_id)
JOIN tidemill.deployment d USING (deployment_id)
WHERE c.model = %(model)s;

-- name: score_debugging
-- Whether the champion's scores of single rows could be taken apart by feature.
SELECT 'explained' AS need, 'judgement' AS kind, r.decision_id::text AS row_id, r.judged_at AS at,
    CASE WHEN (e ->> 'passed')::boolean THEN 1 ELSE 0 END AS worth, e ->> 'observed' AS shows
FROM tidemill.champion c
JOIN tidemill.release r USING (model, release_id), jsonb_path_query(r.evidence, '$.explained ? (@ != null)') e
WHERE c.model = %(model)s;

-- name: score_canary
-- The champion loaded by a clean process before it served, and whether it has won in the shadow of its predecessor.
SELECT 'rehearsal' AS need, 'judgement' AS kind, r.decision_id::text AS row_id, r.judged_at AS at,
    CASE WHEN e ->> 'problem' IS NOT NULL OR (e ->> 'n_different')::integer > 0 THEN 0
         WHEN s.shadow_id IS NOT NULL THEN 1 ELSE 0.5 END AS worth,
    format('%%s rows scored in a clean process, %%s of them differently; %%s', e ->> 'n_rows', e ->> 'n_different',
           coalesce('won in shadow ' || s.shadow_id || ' against release ' || s.against, 'not compared in the shadow')) AS shows
FROM tidemill.champion c
JOIN tidemill.release r USING (model, release_id)
LEFT JOIN tidemill.shadow s ON (s.model, s.release_id, s.decision_id, s.state) = (r.model, r.release_id, r.decision_id, 'won'),
    jsonb_path_query(r.evidence, '$.rehearsal ? (@ != null)') e
WHERE c.model = %(model)s;

-- name: score_rollback
-- The newest rollback of the model.
SELECT 'rolled_back' AS need, 'deployment' AS kind, d.deployment_id::text AS row_id, d.deployed_at AS at, 0.5 AS worth,
    format('release %%s served again after release %%s, by %%s', d.release_id, d.previous_release_id, d.approved_by) AS shows
FROM tidemill.deployment d
WHERE d.model = %(model)s AND d.kind = 'rollback'
ORDER BY d.deployment_id DESC LIMIT 1;
