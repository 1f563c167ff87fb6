-- Labels as they arrive, and realised quality as an analyst reads it: by partition and by declared slice.

ALTER TABLE tidemill.metric
    DROP CONSTRAINT metric_part_check,
    ADD CONSTRAINT metric_part_check
        CHECK (part IN ('drift', 'performance', 'compute', 'freshness', 'estimate', 'skew', 'labels'));

CREATE VIEW tidemill.realised_quality AS
SELECT m.model, m.partition, coalesce(m.slice, 'all rows') AS slice, m.name AS metric, m.value, m.low, m.high, m.n,
       m.label_coverage, m.release_id, m.as_of
FROM tidemill.metric m
WHERE m.part = 'performance'
  AND m.run_id = (SELECT max(newest.run_id) FROM tidemill.metric newest
                  WHERE newest.model = m.model AND newest.part = m.part AND newest.partition = m.partition);
COMMENT ON VIEW tidemill.realised_quality IS
    'What published predictions were worth, as of the newest look at their labels; slices as the spec declares them.';
COMMENT ON COLUMN tidemill.realised_quality.metric IS
    'Of the one partition; <metric>_recent: over the newest matured partitions up to this one.';
COMMENT ON COLUMN tidemill.realised_quality.n IS 'Rows whose label is known.';

GRANT SELECT ON tidemill.realised_quality TO tidemill_writer, tidemill_promoter, tidemill_reader;
