-- name: model_extent
-- What the ledger has about a model, and whether one of its steps runs.
SELECT (SELECT count(*) FROM tidemill.published WHERE model = %(model)s) AS n_published,
       (SELECT count(*) FROM tidemill.prediction_run WHERE model = %(model)s) AS n_prediction_runs,
       (SELECT count(*) FROM tidemill.registration WHERE model = %(model)s) AS n_releases,
       (SELECT count(*) FROM tidemill.run WHERE model = %(model)s) AS n_steps,
       (SELECT count(*) FROM tidemill.metric WHERE model = %(model)s) AS n_figures,
       (SELECT count(*) FROM tidemill.run WHERE model = %(model)s AND status = 'running'
            AND started_at > clock_timestamp() - %(dead_after)s::interval) AS n_running,
       EXISTS (SELECT FROM tidemill.model WHERE model = %(model)s) AS declared;

-- name: dags_of_model
-- The DAGs whose runs have run a model's steps.
SELECT DISTINCT dag_id FROM tidemill.run WHERE model = %(model)s AND dag_id IS NOT NULL ORDER BY dag_id;

-- name: drop_prediction_tables
-- Drop a model's view and some of its prediction tables; the number of tables, 0 once none is left.
SELECT tidemill.drop_prediction_tables(%(model)s, %(at_most)s);

-- name: remove_model
-- Delete a model's rows, and record that in the audit.
SELECT tidemill.remove_model(%(model)s, %(details)s);
