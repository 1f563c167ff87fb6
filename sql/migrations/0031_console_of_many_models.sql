-- What the console asks about each of hundreds of models, by an index: failed steps among all that succeeded, empty partitions
-- among all that are published, what people have recorded in an audit that every publication makes longer, and one figure over partitions
-- among those of hundreds of features.

CREATE INDEX run_failed ON tidemill.run (model, started_at) WHERE status = 'failed';
CREATE INDEX prediction_run_empty ON tidemill.prediction_run (model, partition) WHERE n_rows = 0 AND status = 'published';
CREATE INDEX audit_by_people ON tidemill.audit (model, event) WHERE event IN ('dismiss', 'hold', 'unhold');
CREATE INDEX metric_by_name ON tidemill.metric (model, part, name, feature, partition);
