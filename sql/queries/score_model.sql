-- name: score_spec_review
-- The champion's spec and code on record, and whether a second person approved the promotion.
SELECT 'review' AS need, 'deployment' AS kind, d.deployment_id::text AS row_id, d.deployed_at AS at,
    CASE WHEN d.approved_by NOT IN ('gate', r.requested_by) THEN 1 ELSE 0.5 END AS worth,
    format('spec %%s, code %%s; requested by %%s, approved by %%s', left(r.spec_digest, 12), r.code_version,
           coalesce(nullif(r.requested_by, ''), 'the schedule'), d.approved_by) AS shows
FROM tidemill.champion c
JOIN tidemill.release r USING (model, release_id)
JOIN tidemill.document s ON s.digest = r.spec_digest AND s.kind = 'spec'
JOIN tidemill.deployment d ON (d.model, d.release_id) = (r.model, r.release_id) AND d.kind = 'promote'
WHERE c.model = %(model)s AND r.code_version !~ '\+(dirty|unknown)$'
ORDER BY d.deployment_id DESC LIMIT 1;

-- name: score_offline_online
-- The champion's newest realised quality beside its quality at acceptance: whether the intervals overlap.
WITH champion AS (
    SELECT r.*, m ->> 'value' AS value, coalesce(m ->> 'low', m ->> 'value')::double precision AS low,
        coalesce(m ->> 'high', m ->> 'value')::double precision AS high
    FROM tidemill.champion c
    JOIN tidemill.release r USING (model, release_id), jsonb_array_elements(r.evidence -> 'metrics') m
    WHERE c.model = %(model)s AND m ->> 'name' = r.metric || '_of_partitions'
), realised AS (
    SELECT m.metric_id, m.partition, m.computed_at, m.value, coalesce(m.low, m.value) AS low,
        coalesce(m.high, m.value) AS high
    FROM tidemill.metric m
    JOIN champion ON m.release_id = champion.release_id AND m.name IN (champion.metric || '_recent', champion.metric)
    WHERE m.model = %(model)s AND m.part = 'performance' AND m.slice IS NULL AND m.value <> 'NaN'
    ORDER BY tidemill.key_order(m.partition) DESC, m.run_id DESC, m.name DESC LIMIT 1
)
SELECT 'realised' AS need, 'metric' AS kind, realised.metric_id::text AS row_id, realised.computed_at AS at,
    CASE WHEN realised.low <= champion.high AND champion.low <= realised.high THEN 1 ELSE 0.5 END AS worth,
    format('%%s %%s up to %%s, and %%s at acceptance (%%s to %%s)', champion.metric, round(realised.value::numeric, 4),
           realised.partition, round(champion.value::numeric, 4), round(champion.low::numeric, 4),
           round(champion.high::numeric, 4)) AS shows
FROM realised, champion;

-- name: score_tuning
-- The search behind the champion, and whether its winner was compared with the defaults on the test set.
SELECT 'search' AS need, 'judgement' AS kind, r.decision_id::text AS row_id, r.judged_at AS at,
    CASE WHEN NOT (s ->> 'cut_short')::boolean
              AND ((s ->> 'best')::integer = 0 OR r.evidence ->> 'search_gain' IS NOT NULL) THEN 1 ELSE 0.5 END AS worth,
    format('%%s trials on %%s folds; the %%s won', s ->> 'n_trials', s ->> 'n_folds',
           CASE (s ->> 'best')::integer WHEN 0 THEN 'defaults' ELSE 'settings of trial ' || (s ->> 'best') END) AS shows
FROM tidemill.champion c
JOIN tidemill.release r USING (model, release_id), jsonb_path_query(r.evidence, '$.bundle.search') s
WHERE c.model = %(model)s AND (s ->> 'n_trials')::integer > 0;

-- name: score_simpler_model
-- The champion against each baseline: whether the whole interval of the difference lies on the good side.
WITH champion AS (
    SELECT r.* FROM tidemill.champion c JOIN tidemill.release r USING (model, release_id) WHERE c.model = %(model)s
), compared AS (
    SELECT count(*) AS n, bool_and(CASE WHEN %(greater_is_better)s THEN (b ->> 'low')::double precision > 0
            AND (b ->> 'low')::double precision < 'Infinity' ELSE (b ->> 'high')::double precision < 0 END) AS better,
        string_agg(b ->> 'slice', ', ') AS names
    FROM champion, jsonb_array_elements(evidence -> 'baselines') b
)
SELECT 'baselines' AS need, 'judgement' AS kind, decision_id::text AS row_id, judged_at AS at,
    CASE WHEN better THEN 1 ELSE 0 END AS worth,
    format('%%s than each of %%s', CASE WHEN better THEN 'better' ELSE 'not shown to be better' END, names) AS shows
FROM champion, compared
WHERE n > 0;

-- name: score_slices
-- The acceptance metric of the champion by declared slice, slices that a search found weak, and the gate's verdict.
WITH champion AS (
    SELECT r.*, d.verdict
    FROM tidemill.champion c
    JOIN tidemill.release r USING (model, release_id)
    JOIN tidemill.decision d USING (decision_id)
    WHERE c.model = %(model)s
), sliced AS (
    SELECT count(*) AS n, count(DISTINCT split_part(m ->> 'slice', '=', 1)) AS n_columns
    FROM champion, jsonb_array_elements(evidence -> 'metrics') m
    WHERE m ->> 'slice' IS NOT NULL AND m ->> 'name' = metric
)
SELECT 'slices' AS need, 'judgement' AS kind, decision_id::text AS row_id, judged_at AS at,
    CASE WHEN verdict <> 'accept' THEN 0 WHEN jsonb_array_length(evidence #> '{slice_search,weak}') > 0 THEN 0.5 ELSE 1 END
        AS worth,
    format('%%s slices of %%s columns measured, %%s; the gate''s verdict: %%s', n, n_columns,
           coalesce(jsonb_array_length(evidence #> '{slice_search,weak}') || ' weak slices found by a search', 'none searched'),
           replace(verdict, '_', ' ')) AS shows
FROM champion, sliced
WHERE n > 0 OR jsonb_typeof(evidence -> 'slice_search') = 'object';

-- name: score_inclusion
-- The champion's gaps between groups of rows and all others, and the gate's verdict about it.
WITH champion AS (
    SELECT r.*, d.verdict
    FROM tidemill.champion c
    JOIN tidemill.release r USING (model, release_id)
    JOIN tidemill.decision d USING (decision_id)
    WHERE c.model = %(model)s
), gaps AS (
    SELECT count(*) AS n, count(DISTINCT gap ->> 'slice') AS n_groups
    FROM champion, jsonb_path_query(evidence, '$.gaps[*]') gap
)
SELECT 'gaps' AS need, 'judgement' AS kind, decision_id::text AS row_id, judged_at AS at,
    CASE WHEN verdict = 'accept' THEN 1 ELSE 0 END AS worth,
    format('%%s figures of %%s groups compared with all others; the gate''s verdict: %%s', n, n_groups,
           replace(verdict, '_', ' ')) AS shows
FROM champion, gaps
WHERE n > 0;

-- name: score_staleness
-- How many partitions were scored by releases of some age beside the youngest one, and up to which age.
WITH aged AS (
    SELECT metric_id, partition, computed_at, substr(slice, 5)::integer AS age
    FROM tidemill.metric
    WHERE model = %(model)s AND part = 'staleness' AND name = 'staleness_loss' AND value <> 'NaN'
)
SELECT 'aged' AS need, 'metric' AS kind, max(metric_id)::text AS row_id, max(computed_at) AS at,
    CASE WHEN count(DISTINCT partition) FILTER (WHERE age >= 30) >= 5 THEN 1 ELSE 0.5 END AS worth,
    format('releases of up to %%s days compared with the youngest one on %%s partitions', max(age),
           count(DISTINCT partition)) AS shows
FROM aged
HAVING count(*) > 0;
