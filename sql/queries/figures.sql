-- name: figure_names
-- The names and slices of a model's figures in its newest partitions, those of features without a slice.
WITH newest AS (
    SELECT partition FROM tidemill.published WHERE model = %(model)s ORDER BY tidemill.key_order(partition) DESC LIMIT %(limit)s
)
SELECT DISTINCT m.part, m.name, m.slice, m.feature IS NOT NULL AS by_feature
FROM newest
JOIN tidemill.metric m ON m.model = %(model)s AND m.partition = newest.partition
    AND m.partition >= (SELECT left(min(partition), 13) FROM newest)  -- so that no older one is read
    AND m.part IN ('drift', 'performance', 'compute', 'estimate', 'freshness', 'skew', 'labels')
ORDER BY m.part, m.name, m.slice NULLS FIRST;

-- name: figures
-- One figure over partitions, as the newest run of each partition measured it, oldest first.
SELECT partition, value, low, high, n, label_coverage, release_id, as_of
FROM (SELECT DISTINCT ON (partition) partition, value, low, high, n, label_coverage, release_id, as_of
      FROM tidemill.metric
      WHERE model = %(model)s AND part = %(part)s AND name = %(name)s
        AND (slice = %(slice)s OR %(slice)s::text IS NULL AND slice IS NULL)
        AND (feature = %(feature)s OR %(feature)s::text IS NULL AND feature IS NULL)  -- IS NOT DISTINCT FROM uses no index
        AND partition >= left(coalesce(%(first)s, ''), 13)  -- by the index; then exactly
        AND (%(last)s::text IS NULL OR partition <= left(%(last)s, 13) || 'z')
        AND tidemill.key_order(partition) >= tidemill.key_order(coalesce(%(first)s, ''))
        AND (%(last)s::text IS NULL OR tidemill.key_order(partition) <= tidemill.key_order(%(last)s))
      ORDER BY partition DESC, run_id DESC
      LIMIT %(limit)s) newest
ORDER BY tidemill.key_order(partition);
