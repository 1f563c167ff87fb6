-- Which rows and labels the newest figures of quality of a partition were computed from.

CREATE TABLE tidemill.measured_labels (
    model             text NOT NULL,
    partition         text NOT NULL,
    prediction_run_id bigint NOT NULL REFERENCES tidemill.prediction_run,
    digest            text NOT NULL,
    as_of             timestamptz NOT NULL,
    measured_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, partition)
);
COMMENT ON TABLE tidemill.measured_labels IS
    'The run and the labels behind the newest figures of quality of a partition: if either differs, it is measured again.';
COMMENT ON COLUMN tidemill.measured_labels.digest IS 'Digest of keys and labels, whatever their order.';
COMMENT ON COLUMN tidemill.measured_labels.as_of IS 'Labels count as they were known at this instant of model time.';

GRANT SELECT ON tidemill.measured_labels TO tidemill_writer, tidemill_promoter, tidemill_reader;
GRANT INSERT, UPDATE (prediction_run_id, digest, as_of, measured_at) ON tidemill.measured_labels TO tidemill_writer;
