-- Retention: what the ledger has to know so that things may go, and how a table goes without keeping readers waiting.

-- ---------------------------------------------------------------- since when

ALTER TABLE tidemill.prediction_run ADD COLUMN status_since timestamptz NOT NULL DEFAULT clock_timestamp();
COMMENT ON COLUMN tidemill.prediction_run.status_since IS
    'When the status last changed; a superseded run is kept for so long from then on.';
UPDATE tidemill.prediction_run SET status_since = coalesce(published_at, started_at);
UPDATE tidemill.prediction_run r SET status_since = a.done_at
FROM tidemill.audit a
WHERE r.status = 'superseded' AND a.event = 'publish' AND a.details ->> 'previous' = r.prediction_run_id::text;

CREATE FUNCTION tidemill.note_status() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    NEW.status_since := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER note_status BEFORE UPDATE OF status ON tidemill.prediction_run
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION tidemill.note_status();

-- ---------------------------------------------------------------- what a person wants kept

CREATE FUNCTION tidemill.hold(model text, what text, name text, why text)
RETURNS bigint LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    known boolean;
BEGIN
    known := CASE what
        WHEN 'release' THEN EXISTS (SELECT FROM tidemill.release r
                                    WHERE r.model = hold.model AND r.release_id::text = name)
        WHEN 'prediction_run' THEN EXISTS (SELECT FROM tidemill.prediction_run r
                                           WHERE r.model = hold.model AND r.prediction_run_id::text = name)
        WHEN 'partition' THEN EXISTS (SELECT FROM tidemill.prediction_run r
                                      WHERE r.model = hold.model AND r.partition = name)
        WHEN 'snapshot' THEN EXISTS (SELECT FROM tidemill.snapshot s WHERE s.model = hold.model AND s.digest = name)
    END;
    IF known IS NOT TRUE THEN
        RAISE EXCEPTION 'model % has no % named %; what can be held is a release, prediction_run, partition or snapshot',
            model, what, name USING ERRCODE = 'no_data_found';
    END IF;
    RETURN tidemill.append_audit('hold', model, jsonb_build_object('what', what, 'name', name, 'why', why));
END $$;

CREATE FUNCTION tidemill.unhold(model text, what text, name text, why text)
RETURNS bigint LANGUAGE sql SET search_path = '' AS $$
    SELECT tidemill.append_audit('unhold', model, jsonb_build_object('what', what, 'name', name, 'why', why))
$$;

CREATE VIEW tidemill.held AS
SELECT model, what, name, why, done_by AS held_by, done_at AS held_at
FROM (SELECT DISTINCT ON (model, details ->> 'what', details ->> 'name')
             event, model, details ->> 'what' AS what, details ->> 'name' AS name, details ->> 'why' AS why,
             done_by, done_at
      FROM tidemill.audit WHERE event IN ('hold', 'unhold')
      ORDER BY model, details ->> 'what', details ->> 'name', audit_id DESC) newest
WHERE event = 'hold';
COMMENT ON VIEW tidemill.held IS 'What nobody may collect: SELECT tidemill.hold(model, what, name, why); unhold ends it.';

-- ---------------------------------------------------------------- what has gone

CREATE VIEW tidemill.collected AS
SELECT model, details ->> 'kind' AS kind, details ->> 'name' AS name, (details ->> 'size_bytes')::bigint AS size_bytes,
       details ->> 'reason' AS reason, done_at AS collected_at, audit_id
FROM tidemill.audit WHERE event = 'collect';
CREATE INDEX audit_collected ON tidemill.audit (model, (details ->> 'name')) WHERE event = 'collect';
COMMENT ON VIEW tidemill.collected IS 'Prediction runs (by number) and folders (by URI) that retention has removed, and why.';

-- DROP of a partition needs ACCESS EXCLUSIVE on its parent, and a request that waits for it makes every later reader
-- wait too. So it waits for 50 ms, which short reads end within, and gives up then with everything as it was: 'reading'.
-- A table that its own writer or reader has not let go is 'busy'.
CREATE FUNCTION tidemill.collect_prediction_run(prediction_run_id bigint, status_since timestamptz, reason text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET lock_timeout = '50ms' AS $$
DECLARE
    run tidemill.prediction_run;
    rows_table text := 'prediction_run_' || collect_prediction_run.prediction_run_id;
    attached boolean;
    size_bytes bigint := 0;
BEGIN
    SELECT r.* INTO run FROM tidemill.prediction_run r
    WHERE r.prediction_run_id = collect_prediction_run.prediction_run_id FOR UPDATE NOWAIT;
    IF NOT FOUND OR run.status NOT IN ('writing', 'written', 'stale', 'superseded')
        OR run.status_since <> collect_prediction_run.status_since  -- it is no longer what the caller decided about
        OR EXISTS (SELECT FROM tidemill.published p WHERE p.prediction_run_id = run.prediction_run_id)
        OR EXISTS (SELECT FROM tidemill.held h
                   WHERE h.model = run.model
                     AND (h.what, h.name) IN (('prediction_run', run.prediction_run_id::text),
                                              ('partition', run.partition), ('release', run.release_id::text)))
    THEN
        RETURN 'kept';
    END IF;
    LOCK TABLE tidemill.audit IN SHARE ROW EXCLUSIVE MODE;  -- first, so that nothing is waited for with readers shut out
    SELECT c.relispartition INTO attached FROM pg_catalog.pg_class c
    WHERE c.oid = to_regclass('tidemill.' || rows_table);
    IF attached THEN
        BEGIN
            EXECUTE format('LOCK TABLE ONLY tidemill.%I IN ACCESS EXCLUSIVE MODE', 'prediction_' || run.model);
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            RETURN 'reading';
        END;
    END IF;
    IF attached IS NOT NULL THEN
        EXECUTE format('LOCK TABLE tidemill.%I IN ACCESS EXCLUSIVE MODE NOWAIT', rows_table);
        size_bytes := pg_total_relation_size(to_regclass('tidemill.' || rows_table));
        EXECUTE format('DROP TABLE tidemill.%I', rows_table);
    END IF;
    UPDATE tidemill.prediction_run r SET status = 'collected' WHERE r.prediction_run_id = run.prediction_run_id;
    PERFORM tidemill.append_audit('collect', run.model, jsonb_build_object(
        'kind', 'prediction_run', 'name', run.prediction_run_id::text, 'partition', run.partition, 'was', run.status,
        'release_id', run.release_id, 'n_rows', run.n_rows, 'checksum', run.checksum, 'size_bytes', size_bytes,
        'reason', collect_prediction_run.reason));
    RETURN 'collected';
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    RETURN 'busy';
END $$;

-- ---------------------------------------------------------------- who may do what

REVOKE ALL ON FUNCTION tidemill.note_status, tidemill.hold, tidemill.unhold, tidemill.collect_prediction_run FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidemill.hold, tidemill.unhold TO tidemill_writer, tidemill_promoter;
GRANT EXECUTE ON FUNCTION tidemill.collect_prediction_run TO tidemill_writer;
GRANT SELECT ON tidemill.held, tidemill.collected TO tidemill_writer, tidemill_promoter, tidemill_reader;
GRANT SELECT ON public.tidemill_migration TO tidemill_writer, tidemill_promoter, tidemill_reader;  -- for the doctor
