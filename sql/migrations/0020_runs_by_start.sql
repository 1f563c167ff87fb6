-- The newest steps of a model by an index: the console asks for them on every page, however long the past is.

CREATE INDEX run_by_start ON tidemill.run (model, started_at DESC);
