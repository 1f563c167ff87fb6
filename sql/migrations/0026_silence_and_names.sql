-- A known problem may be known until an instant, after which it counts as new. Holds name the person who asks for them.

ALTER TABLE tidemill.alert ADD COLUMN acknowledged_until timestamptz;
GRANT UPDATE (acknowledged_until) ON tidemill.alert TO tidemill_writer;
COMMENT ON COLUMN tidemill.alert.acknowledged_until IS
    'When the acknowledgement ends; NULL if it lasts until the alert gets worse or is resolved.';

DROP FUNCTION tidemill.hold(text, text, text, text), tidemill.unhold(text, text, text, text);

CREATE FUNCTION tidemill.hold(model text, what text, name text, why text, asked_by text DEFAULT '')
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known boolean;
BEGIN
    known := CASE what
        WHEN 'release' THEN EXISTS (SELECT FROM tidemill.release r
                                    WHERE r.model = hold.model AND r.release_id::text = hold.name)
        WHEN 'prediction_run' THEN EXISTS (SELECT FROM tidemill.prediction_run r
                                           WHERE r.model = hold.model AND r.prediction_run_id::text = hold.name)
        WHEN 'partition' THEN EXISTS (SELECT FROM tidemill.prediction_run r
                                      WHERE r.model = hold.model AND r.partition = hold.name)
        WHEN 'snapshot' THEN EXISTS (SELECT FROM tidemill.snapshot s
                                     WHERE s.model = hold.model AND s.digest = hold.name)
    END;
    IF known IS NOT TRUE THEN
        RAISE EXCEPTION 'model % has no % named %; what can be held is a release, prediction_run, partition or snapshot',
            model, what, name USING ERRCODE = 'no_data_found';
    END IF;
    RETURN tidemill.append_audit('hold', model,
        jsonb_build_object('what', what, 'name', name, 'why', why, 'by', asked_by));
END $$;

CREATE FUNCTION tidemill.unhold(model text, what text, name text, why text, asked_by text DEFAULT '')
RETURNS bigint LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT tidemill.append_audit('unhold', model,
        jsonb_build_object('what', what, 'name', name, 'why', why, 'by', asked_by))
$$;
REVOKE EXECUTE ON FUNCTION tidemill.hold, tidemill.unhold FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidemill.hold, tidemill.unhold TO tidemill_writer, tidemill_promoter;

CREATE OR REPLACE VIEW tidemill.held AS
SELECT model, what, name, why, held_by, held_at
FROM (SELECT DISTINCT ON (model, details ->> 'what', details ->> 'name')
             event, model, details ->> 'what' AS what, details ->> 'name' AS name, details ->> 'why' AS why,
             coalesce(nullif(details ->> 'by', ''), done_by) AS held_by, done_at AS held_at
      FROM tidemill.audit WHERE event IN ('hold', 'unhold')
      ORDER BY model, details ->> 'what', details ->> 'name', audit_id DESC) newest
WHERE event = 'hold';
