-- name: score_feature_schema
-- Expectations that were checked on the champion's training data, counted by feature.
WITH champion AS (
    SELECT r.* FROM tidemill.champion c JOIN tidemill.release r USING (model, release_id) WHERE c.model = %(model)s
), checked AS (
    SELECT run.run_id, run.ended_at, array_agg(DISTINCT k.column_name) AS columns, count(*) AS n_expectations
    FROM champion
    JOIN tidemill.check_result k USING (snapshot_digest)
    JOIN tidemill.run ON run.run_id = k.run_id AND run.model = champion.model AND run.chain = 'train'
    GROUP BY run.run_id, run.ended_at
    ORDER BY run.run_id DESC LIMIT 1
), features AS (
    SELECT count(*) AS n, count(*) FILTER (WHERE m ->> 'feature' = ANY(columns)) AS n_checked
    FROM champion, checked, jsonb_array_elements(evidence -> 'importance') m
)
SELECT 'contract' AS need, 'check_result' AS kind, 'run ' || run_id AS row_id, ended_at AS at,
    CASE WHEN n_checked = n THEN 1 ELSE 0.5 END AS worth,
    format('%%s of %%s features have an expectation of their own; %%s expectations in all', n_checked, n, n_expectations)
        AS shows
FROM checked, features
WHERE n_checked > 0;

-- name: score_feature_benefit
-- Permutation importance of each feature of the champion: whether its whole interval lies above 0.
WITH champion AS (
    SELECT r.* FROM tidemill.champion c JOIN tidemill.release r USING (model, release_id) WHERE c.model = %(model)s
), features AS (
    SELECT count(*) AS n, count(*) FILTER (
        WHERE (m ->> 'low')::double precision > 0 AND (m ->> 'low')::double precision < 'Infinity') AS n_shown
    FROM champion, jsonb_array_elements(evidence -> 'importance') m
)
SELECT 'importance' AS need, 'judgement' AS kind, decision_id::text AS row_id, judged_at AS at,
    CASE WHEN n_shown = n THEN 1 ELSE 0.5 END AS worth,
    format('shuffling costs quality for %%s of %%s features, with an interval above 0', n_shown, n) AS shows
FROM champion, features
WHERE n > 0;

-- name: score_feature_cost
-- Gain and cost of each group of the champion's features: whether groups hold all features, and each gains what it costs.
WITH champion AS (
    SELECT r.* FROM tidemill.champion c JOIN tidemill.release r USING (model, release_id) WHERE c.model = %(model)s
), groups AS (
    SELECT count(*) AS n, count(*) FILTER (WHERE (g ->> 'n_idle')::integer >= 3) AS n_idle
    FROM champion, jsonb_path_query(evidence, '$.feature_groups[*]') g
), features AS (
    SELECT count(*) AS n, count(*) FILTER (WHERE m ->> 'feature' IN (
        SELECT f #>> '{}' FROM champion, jsonb_path_query(evidence, '$.feature_groups[*].features[*]') f)) AS n_grouped
    FROM champion, jsonb_array_elements(evidence -> 'importance') m
)
SELECT 'feature_groups' AS need, 'judgement' AS kind, decision_id::text AS row_id, judged_at AS at,
    CASE WHEN groups.n_idle = 0 AND n_grouped = features.n THEN 1 ELSE 0.5 END AS worth,
    format('gain and cost of %%s groups with %%s of %%s features; %%s groups without a gain in three trainings', groups.n,
           n_grouped, features.n, groups.n_idle) AS shows
FROM champion, groups, features
WHERE groups.n > 0;

-- name: score_feature_policy
-- What the spec of the champion's training denied its features query, whose plan was compared with it.
WITH champion AS (
    SELECT r.* FROM tidemill.champion c JOIN tidemill.release r USING (model, release_id) WHERE c.model = %(model)s
), denied AS (
    SELECT run.run_id, run.ended_at, jsonb_array_length(policy -> 'denied_columns') AS n_columns,
        jsonb_array_length(policy -> 'denied_tables') AS n_tables
    FROM champion
    JOIN tidemill.run ON run.model = champion.model AND run.chain = 'train' AND run.step = 'extract'
        AND run.status = 'succeeded' AND run.result ->> 'digest' = champion.snapshot_digest
    JOIN tidemill.document s ON s.digest = run.spec_digest AND s.kind = 'spec',
        jsonb_path_query(convert_from(s.content, 'UTF8')::jsonb, '$.features.policy') policy
    ORDER BY run.run_id DESC LIMIT 1
)
SELECT 'policy' AS need, 'run' AS kind, run_id::text AS row_id, ended_at AS at, 1 AS worth,
    format('the features query reads none of %%s denied columns and %%s denied tables', n_columns, n_tables) AS shows
FROM denied
WHERE n_columns + n_tables > 0;

-- name: score_feature_lead_time
-- Time from the first run of the champion's queries to their first promotion.
WITH champion AS (
    SELECT r.model, s.query_digest
    FROM tidemill.champion c
    JOIN tidemill.release r USING (model, release_id)
    JOIN tidemill.snapshot s ON (s.model, s.digest) = (r.model, r.snapshot_digest)
    WHERE c.model = %(model)s
), first AS (
    SELECT d.deployment_id, d.deployed_at, q.recorded_at,
        extract(epoch FROM d.deployed_at - q.recorded_at) / 86400 AS n_days
    FROM champion
    JOIN tidemill.document q ON q.digest = champion.query_digest AND q.kind = 'queries'
    JOIN tidemill.deployment d ON d.model = champion.model AND d.kind <> 'rollback'
    JOIN tidemill.release r ON (r.model, r.release_id) = (d.model, d.release_id)
    JOIN tidemill.snapshot s ON (s.model, s.digest, s.query_digest) = (r.model, r.snapshot_digest, champion.query_digest)
    ORDER BY d.deployment_id LIMIT 1
)
SELECT 'lead_time' AS need, 'deployment' AS kind, deployment_id::text AS row_id, deployed_at AS at,
    CASE WHEN n_days <= 30 THEN 1 ELSE 0.5 END AS worth,
    format('the newest change of the queries served %%s days after they first ran, on %%s', round(n_days, 1),
           to_char(recorded_at, 'YYYY-MM-DD')) AS shows
FROM first;

-- name: score_feature_code
-- The leak probe of the champion's training, and the features that were computed again on a matured partition.
WITH champion AS (
    SELECT r.* FROM tidemill.champion c JOIN tidemill.release r USING (model, release_id) WHERE c.model = %(model)s
), features AS (
    SELECT m ->> 'feature' AS feature FROM champion, jsonb_array_elements(evidence -> 'importance') m
), again AS (
    SELECT min(metric_id) AS metric_id, max(computed_at) AS computed_at, partition, array_agg(feature) AS features
    FROM tidemill.metric
    WHERE model = %(model)s AND part = 'skew' AND name = 'skew_share'
      AND partition >= (SELECT left(max(partition), 13) FROM tidemill.metric
                        WHERE model = %(model)s AND part = 'skew' AND name = 'skew_share')
    GROUP BY partition, run_id
    ORDER BY tidemill.key_order(partition) DESC, run_id DESC LIMIT 1
)
(SELECT 'leak_probe' AS need, 'run' AS kind, run.run_id::text AS row_id, run.ended_at AS at, 1 AS worth,
     'no sign of a leak in any column of the features query' AS shows
 FROM champion
 JOIN tidemill.run ON run.model = champion.model AND run.chain = 'train' AND run.step = 'prepare'
     AND run.status = 'succeeded' AND run.result ->> 'digest' = champion.split_digest
 ORDER BY run.run_id DESC LIMIT 1)
UNION ALL
SELECT 'recomputed', 'metric', metric_id::text, computed_at,
    CASE WHEN (SELECT bool_and(f.feature = ANY(again.features)) FROM features f) THEN 1 ELSE 0.5 END,
    format('%%s of %%s features of partition %%s computed again',
           (SELECT count(*) FROM features f WHERE f.feature = ANY(again.features)), (SELECT count(*) FROM features), partition)
FROM again
WHERE EXISTS (SELECT FROM features);
