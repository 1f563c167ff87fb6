-- name: score_dependencies
-- The newest examination that compared columns, code and packages with those of the partition before.
SELECT 'examined' AS need, 'examination' AS kind, examination_id::text AS row_id, examined_at AS at, 1 AS worth,
    format('columns, query, code and packages of partition %%s compared with the partition before', partition) AS shows
FROM tidemill.examination
WHERE model = %(model)s AND 'freshness' = ANY(parts)
ORDER BY tidemill.key_order(partition) DESC, examination_id DESC LIMIT 1;

-- name: score_invariants
-- The contract on the newest published partition, and its number of rows.
WITH newest AS (
    SELECT p.partition, r.snapshot_digest
    FROM tidemill.published p
    JOIN tidemill.prediction_run r USING (prediction_run_id)
    WHERE p.model = %(model)s
    ORDER BY tidemill.key_order(p.partition) DESC LIMIT 1
)
(SELECT 'contract' AS need, 'check_result' AS kind, 'run ' || run.run_id AS row_id, run.ended_at AS at, 1 AS worth,
     format('%%s expectations on partition %%s; %%s do not hold', count(*), newest.partition,
            count(*) FILTER (WHERE NOT k.success)) AS shows
 FROM newest
 JOIN tidemill.check_result k USING (snapshot_digest)
 JOIN tidemill.run ON run.run_id = k.run_id AND run.model = %(model)s
 GROUP BY run.run_id, run.ended_at, newest.partition
 ORDER BY run.run_id DESC LIMIT 1)
UNION ALL
(SELECT 'volume', 'metric', metric_id::text, computed_at, 1, format('%%s rows in partition %%s', value, partition)
 FROM tidemill.metric
 WHERE model = %(model)s AND part = 'freshness' AND name = 'n_rows'
 ORDER BY tidemill.key_order(partition) DESC, metric_id DESC LIMIT 1);

-- name: score_skew
-- The largest share of scored values, or rows, that differ when the same query runs again later.
SELECT 'compared' AS need, 'metric' AS kind, min(metric_id)::text AS row_id, max(computed_at) AS at,
    CASE WHEN max(value) <= %(max_skew)s THEN 1 ELSE 0 END AS worth,
    format('at most %%s %%%% of any column or of the rows of partition %%s differ from what was scored',
           round((100 * max(value))::numeric, 2), partition) AS shows
FROM tidemill.metric
WHERE model = %(model)s AND part = 'skew' AND name IN ('skew_share', 'skew_rows')
  AND partition >= (SELECT left(max(partition), 13) FROM tidemill.metric
                    WHERE model = %(model)s AND part = 'skew' AND name IN ('skew_share', 'skew_rows'))
GROUP BY partition, run_id
ORDER BY tidemill.key_order(partition) DESC, run_id DESC LIMIT 1;

-- name: score_model_age
-- The age of the release behind the newest examined partition, in model time.
SELECT 'age' AS need, 'metric' AS kind, metric_id::text AS row_id, computed_at AS at,
    CASE WHEN value <= %(max_age_days)s THEN 1 ELSE 0 END AS worth,
    format('%%s days old at partition %%s; %%s days are allowed', round(value::numeric, 1), partition, %(max_age_days)s::numeric)
        AS shows
FROM tidemill.metric
WHERE model = %(model)s AND part = 'freshness' AND name = 'age_days' AND slice = 'of=model'
ORDER BY tidemill.key_order(partition) DESC, metric_id DESC LIMIT 1;

-- name: score_stability
-- The newest published rows, which were counted and sealed: no score of them is NaN or out of its range.
SELECT 'sealed' AS need, 'prediction_run' AS kind, r.prediction_run_id::text AS row_id, p.published_at AS at, 1 AS worth,
    format('%%s rows of partition %%s, each score finite and in its range', r.n_rows, p.partition) AS shows
FROM tidemill.published p
JOIN tidemill.prediction_run r USING (prediction_run_id)
WHERE p.model = %(model)s AND r.checksum IS NOT NULL AND r.n_rows > 0
ORDER BY tidemill.key_order(p.partition) DESC LIMIT 1;

-- name: score_compute
-- The cost of the newest examined partition's steps, and whether there was a past to compare it with.
SELECT 'cost' AS need, 'metric' AS kind, min(metric_id)::text AS row_id, max(computed_at) AS at,
    CASE WHEN count(*) FILTER (WHERE name = 'wall_s_ratio') > 0 THEN 1 ELSE 0.5 END AS worth,
    format('%%s steps measured, %%s compared with their past', count(*) FILTER (WHERE name = 'wall_s'),
           count(*) FILTER (WHERE name = 'wall_s_ratio')) AS shows
FROM tidemill.metric
WHERE model = %(model)s AND part = 'compute' AND name IN ('wall_s', 'wall_s_ratio')
  AND partition >= (SELECT left(max(partition), 13) FROM tidemill.metric
                    WHERE model = %(model)s AND part = 'compute' AND name IN ('wall_s', 'wall_s_ratio'))
GROUP BY partition, run_id
ORDER BY tidemill.key_order(partition) DESC, run_id DESC LIMIT 1;

-- name: score_quality
-- The newest examination of quality, and the newest realised figure.
(SELECT 'examined' AS need, 'examination' AS kind, examination_id::text AS row_id, examined_at AS at, 1 AS worth,
     format('quality up to partition %%s compared with its limits', partition) AS shows
 FROM tidemill.examination
 WHERE model = %(model)s AND 'performance' = ANY(parts)
 ORDER BY tidemill.key_order(partition) DESC, examination_id DESC LIMIT 1)
UNION ALL
(SELECT 'realised', 'metric', metric_id::text, computed_at, 1,
     format('%%s %%s of partition %%s, %%s rows with labels', name, round(value::numeric, 4), partition, n)
 FROM tidemill.metric
 WHERE model = %(model)s AND part = 'performance' AND name = %(metric)s AND slice IS NULL AND value <> 'NaN'
 ORDER BY tidemill.key_order(partition) DESC, run_id DESC LIMIT 1);
