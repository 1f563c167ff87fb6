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
-- The newest tests of the model, or else the behaviour checks of the champion; a failure of either counts first.
WITH champion AS (
    SELECT r.* FROM tidemill.champion c JOIN tidemill.release r USING (model, release_id) WHERE c.model = %(model)s
), checks AS (
    SELECT count(*) AS n, count(*) FILTER (WHERE (b ->> 'passed')::boolean) AS n_passed, string_agg(b ->> 'name', ', ') AS names
    FROM champion, jsonb_array_elements(evidence -> 'behaviour') b
), newest AS (
    SELECT * FROM tidemill.run
    WHERE model = %(model)s AND chain = 'test' AND step = 'run_tests' AND status = 'succeeded'
      AND ended_at > now() - interval '90 days'
    ORDER BY run_id DESC LIMIT 1
), tests AS (
    SELECT count(*) AS n, count(*) FILTER (WHERE t ->> 'outcome' = 'passed') AS n_passed,
        count(*) FILTER (WHERE t ->> 'outcome' = 'failed') AS n_failed,
        string_agg(t ->> 'name', ', ') FILTER (WHERE t ->> 'outcome' <> 'passed') AS others
    FROM newest, jsonb_array_elements(result -> 'tests') t
), found AS (
    SELECT 'judgement' AS kind, decision_id::text AS row_id, judged_at AS at,
        CASE WHEN n_passed = n THEN 0.5 ELSE 0 END AS worth, format('%%s of %%s checks passed: %%s', n_passed, n, names) AS shows
    FROM champion, checks
    WHERE n > 0
    UNION ALL
    SELECT 'run', run_id::text, ended_at,
        CASE WHEN n_failed > 0 OR n_passed = 0 THEN 0
             WHEN dag_run_id ~ '^(scheduled|asset_triggered|backfill)__' THEN 1 ELSE 0.5 END,
        format('%%s of %%s tests passed on a sample as of partition %%s%%s', n_passed, n, partition, '; not: ' || others)
    FROM newest, tests
)
SELECT 'tests' AS need, * FROM found ORDER BY worth = 0 DESC, kind = 'run' DESC LIMIT 1;

-- name: score_integration_test
-- The newest rebuild that ran from the source to the evaluation, apart from what serves.
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
-- The newest drill in the tests of the model, or else the newest rollback of the model.
WITH drill AS (
    SELECT run_id, ended_at, dag_run_id, partition, t ->> 'outcome' AS outcome
    FROM tidemill.run, jsonb_array_elements(result -> 'tests') t
    WHERE model = %(model)s AND chain = 'test' AND step = 'run_tests' AND status = 'succeeded'
      AND t ->> 'name' = 'rollback_returns_the_rows_of_the_earlier_champion' AND t ->> 'outcome' <> 'skipped'
      AND ended_at > now() - interval '365 days'
    ORDER BY run_id DESC LIMIT 1
), found AS (
    SELECT 'run' AS kind, run_id::text AS row_id, ended_at AS at,
        CASE WHEN outcome = 'failed' THEN 0
             WHEN dag_run_id ~ '^(scheduled|asset_triggered|backfill)__' THEN 1 ELSE 0.5 END AS worth,
        format('a drill in a database of its own, as of partition %%s: readers saw the earlier rows again: %%s', partition,
               outcome) AS shows
    FROM drill
    UNION ALL
    (SELECT 'deployment', d.deployment_id::text, d.deployed_at, 0.5,
         format('release %%s served again after release %%s, by %%s', d.release_id, d.previous_release_id, d.approved_by)
     FROM tidemill.deployment d
     WHERE d.model = %(model)s AND d.kind = 'rollback'
     ORDER BY d.deployment_id DESC LIMIT 1)
)
SELECT 'rolled_back' AS need, * FROM found ORDER BY kind = 'run' DESC LIMIT 1;
