-- Revisions: in which rows a prediction run differs from the run that was visible before it.

CREATE TABLE tidemill.revision (
    prediction_run_id bigint PRIMARY KEY REFERENCES tidemill.prediction_run,
    replaces          bigint NOT NULL REFERENCES tidemill.prediction_run,
    n_added           bigint NOT NULL CHECK (n_added >= 0),
    n_removed         bigint NOT NULL CHECK (n_removed >= 0),
    n_changed         bigint NOT NULL CHECK (n_changed >= 0),
    recorded_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (replaces <> prediction_run_id)
);
COMMENT ON TABLE tidemill.revision IS
    'What differs between the rows of a prediction run and those of the run that was visible before it.';
COMMENT ON COLUMN tidemill.revision.replaces IS
    'The run that was visible when the rows were compared; it stays readable as superseded until retention removes it.';
COMMENT ON COLUMN tidemill.revision.n_changed IS 'Rows with the same key and another value in any column of the snapshot.';

GRANT SELECT ON tidemill.revision TO tidemill_writer, tidemill_promoter, tidemill_reader;
GRANT INSERT ON tidemill.revision TO tidemill_writer;
