-- Removal of a model, by the owner: its view, its prediction tables in batches, and then its rows, with one event in the audit.

CREATE OR REPLACE FUNCTION tidemill.append_audit(event text, model text, details jsonb)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF event IN ('publish', 'promote', 'force', 'rollback', 'declare', 'remove') OR event LIKE 'decide:%' THEN
        RAISE EXCEPTION 'event % is appended only by the function that makes the change', event
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN tidemill.append_event(event, model, details);
END $$;

-- A transaction holds the locks of all tables that it drops, and Postgres has room for some thousands.
CREATE FUNCTION tidemill.drop_prediction_tables(model text, at_most integer)
RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found text[];
    gone text;
BEGIN
    EXECUTE format('DROP VIEW IF EXISTS predictions.%I', model);
    SELECT array_agg(name) INTO found FROM (
        SELECT 'prediction_run_' || r.prediction_run_id AS name FROM tidemill.prediction_run r
        WHERE r.model = drop_prediction_tables.model
          AND to_regclass('tidemill.prediction_run_' || r.prediction_run_id) IS NOT NULL
        LIMIT at_most) runs;
    IF found IS NULL THEN
        SELECT array_agg(name) INTO found FROM (
            SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = to_regclass('tidemill.prediction_' || drop_prediction_tables.model) LIMIT at_most) parts;
    END IF;
    FOREACH gone IN ARRAY coalesce(found, '{}') LOOP
        EXECUTE format('DROP TABLE tidemill.%I', gone);
    END LOOP;
    RETURN coalesce(cardinality(found), 0);
END $$;
COMMENT ON FUNCTION tidemill.drop_prediction_tables IS
    'Drop a model''s view, and up to a number of its prediction tables; 0 once none is left.';

CREATE FUNCTION tidemill.remove_model(model text, details jsonb)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text;
    append_only text[] := ARRAY['snapshot', 'deployment', 'registration', 'judgement', 'alert_event', 'reproduction'];
BEGIN
    PERFORM tidemill.append_event('remove', model, details);
    FOREACH name IN ARRAY append_only LOOP
        EXECUTE format('ALTER TABLE tidemill.%I DISABLE TRIGGER append_only', name);
    END LOOP;
    EXECUTE format('DROP TABLE IF EXISTS tidemill.%I', 'prediction_' || model);
    -- Each table after those that refer to it; rows of two are found by the run that they belong to.
    DELETE FROM tidemill.partition_counts c USING tidemill.prediction_run r
    WHERE r.prediction_run_id = c.prediction_run_id AND r.model = remove_model.model;
    DELETE FROM tidemill.revision v USING tidemill.prediction_run r
    WHERE r.prediction_run_id = v.prediction_run_id AND r.model = remove_model.model;
    DELETE FROM tidemill.check_result c USING tidemill.run r WHERE r.run_id = c.run_id AND r.model = remove_model.model;
    DELETE FROM tidemill.alert_event e USING tidemill.alert a WHERE a.alert_id = e.alert_id AND a.model = remove_model.model;
    FOREACH name IN ARRAY ARRAY['alert_message', 'alert', 'examination', 'metric', 'measured_labels', 'quarantine', 'published',
        'reproduction', 'champion', 'shadow', 'deployment', 'prediction_run', 'prediction_part', 'claim', 'judgement',
        'registration', 'decision', 'snapshot', 'run', 'model'] LOOP
        EXECUTE format('DELETE FROM tidemill.%I WHERE model = $1', name) USING model;
    END LOOP;
    FOREACH name IN ARRAY append_only LOOP
        EXECUTE format('ALTER TABLE tidemill.%I ENABLE TRIGGER append_only', name);
    END LOOP;
END $$;
COMMENT ON FUNCTION tidemill.remove_model IS
    'Delete all rows about a model but those of the audit, which gains one; its prediction tables have to be dropped before.';

REVOKE ALL ON FUNCTION tidemill.drop_prediction_tables, tidemill.remove_model FROM PUBLIC;
