-- A published partition without rows looks, in a view of rows, like one that was never published: here they differ.

CREATE VIEW tidemill.published_partition AS
SELECT pointer.model, pointer.partition, run.n_rows, run.n_rows = 0 AS empty, run.release_id, run.prediction_run_id,
       run.simulated, pointer.published_at
FROM tidemill.published pointer JOIN tidemill.prediction_run run USING (prediction_run_id);
COMMENT ON VIEW tidemill.published_partition IS
    'Every published partition with its number of rows. Empty is one that had nothing to score, and was published as such.';
GRANT SELECT ON tidemill.published_partition TO tidemill_writer, tidemill_promoter, tidemill_reader;
