-- What a partition's features look like, counted: later partitions are held against the newest of them.

CREATE TABLE tidemill.partition_counts (
    prediction_run_id bigint NOT NULL REFERENCES tidemill.prediction_run,
    release_id        bigint NOT NULL REFERENCES tidemill.release,
    counts            jsonb NOT NULL,
    run_id            bigint NOT NULL REFERENCES tidemill.run,
    counted_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (prediction_run_id, release_id)
);
COMMENT ON TABLE tidemill.partition_counts IS
    'Rows of a published run in each group of a release''s reference, a feature at a time: some kilobytes a partition.';
COMMENT ON COLUMN tidemill.partition_counts.release_id IS
    'Whose reference the groups are of; after a promotion the newest partitions are counted again, once.';

GRANT SELECT ON tidemill.partition_counts TO tidemill_writer, tidemill_promoter, tidemill_reader;
GRANT INSERT ON tidemill.partition_counts TO tidemill_writer;
