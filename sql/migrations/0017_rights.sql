-- What readers see changes only together with the audit: the pointer, decisions and promotions belong to functions with
-- the owner's rights that write both in one transaction. The roles that run keep column by column what they need.

-- ---------------------------------------------------------------- the audit

CREATE FUNCTION tidemill.append_event(event text, model text, details jsonb)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    previous text;
    moment timestamptz;
    appended bigint;
BEGIN
    LOCK TABLE tidemill.audit IN SHARE ROW EXCLUSIVE MODE;  -- one writer at a time, or the chain would fork
    moment := clock_timestamp();
    SELECT a.hash INTO previous FROM tidemill.audit a ORDER BY a.audit_id DESC LIMIT 1;
    previous := coalesce(previous, repeat('0', 64));
    INSERT INTO tidemill.audit (event, model, details, done_by, done_at, previous_hash, hash)
    VALUES (append_event.event, append_event.model, append_event.details, session_user, moment, previous,
            tidemill.audit_hash(previous, append_event.event, append_event.model, append_event.details, session_user, moment))
    RETURNING audit_id INTO appended;
    RETURN appended;
END $$;

CREATE OR REPLACE FUNCTION tidemill.append_audit(event text, model text, details jsonb)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF event IN ('publish', 'promote', 'force', 'rollback', 'declare') OR event LIKE 'decide:%' THEN
        RAISE EXCEPTION 'event % is appended only by the function that makes the change', event
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN tidemill.append_event(event, model, details);
END $$;
COMMENT ON TABLE tidemill.audit IS
    'Append-only, by tidemill.append_event; each hash covers the row and the hash before it. The newest one is anchored outside.';

-- ---------------------------------------------------------------- publication

CREATE FUNCTION tidemill.publication(run tidemill.prediction_run, previous bigint)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'partition', run.partition, 'prediction_run_id', run.prediction_run_id, 'previous', previous, 'n_rows', run.n_rows,
        'checksum', run.checksum, 'release_id', run.release_id, 'snapshot_digest', run.snapshot_digest, 'task', run.task,
        'threshold', run.threshold, 'simulated', run.simulated)
$$;
COMMENT ON FUNCTION tidemill.publication IS 'What the audit records about a published run: all that decides what readers see.';

CREATE FUNCTION tidemill.move_pointer(prediction_run_id bigint, n_rows bigint, checksum text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run tidemill.prediction_run;
    previous bigint;
BEGIN
    PERFORM FROM tidemill.claim c JOIN tidemill.prediction_run r USING (model, partition)
    WHERE r.prediction_run_id = move_pointer.prediction_run_id FOR UPDATE OF c;
    UPDATE tidemill.prediction_run r SET status = 'published', published_at = now()
    WHERE r.prediction_run_id = move_pointer.prediction_run_id AND r.status IN ('written', 'superseded')
      AND r.n_rows = move_pointer.n_rows AND r.checksum = move_pointer.checksum
    RETURNING r.* INTO run;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT p.prediction_run_id INTO previous FROM tidemill.published p
    WHERE p.model = run.model AND p.partition = run.partition;
    INSERT INTO tidemill.published AS p (model, partition, prediction_run_id)
    VALUES (run.model, run.partition, run.prediction_run_id)
    ON CONFLICT ON CONSTRAINT published_pkey
    DO UPDATE SET prediction_run_id = excluded.prediction_run_id, published_at = now();
    UPDATE tidemill.prediction_run r SET status = 'superseded' WHERE r.prediction_run_id = previous;
    PERFORM tidemill.append_event('publish', run.model, tidemill.publication(run, previous));
    RETURN true;
END $$;
COMMENT ON FUNCTION tidemill.move_pointer IS
    'Make a run the visible one of its partition; false if its rows are not those that were sealed.';

CREATE FUNCTION tidemill.mark_stale(prediction_run_id bigint)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE tidemill.prediction_run r SET status = 'stale'
    WHERE r.prediction_run_id = mark_stale.prediction_run_id AND r.status = 'written'
$$;

-- ---------------------------------------------------------------- decisions and promotion

CREATE FUNCTION tidemill.record_decision(
    model text, partition text, kind text, verdict text, reasons text[], evidence jsonb, run_id bigint, decided_by text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    recorded bigint;
BEGIN
    INSERT INTO tidemill.decision (model, partition, kind, verdict, reasons, evidence, run_id)
    VALUES (record_decision.model, record_decision.partition, record_decision.kind, record_decision.verdict,
            record_decision.reasons, record_decision.evidence, record_decision.run_id)
    RETURNING decision_id INTO recorded;
    PERFORM tidemill.append_event('decide:' || kind, model, jsonb_strip_nulls(jsonb_build_object(
        'decision_id', recorded, 'partition', partition, 'verdict', verdict, 'by', nullif(decided_by, ''))));
    RETURN recorded;
END $$;

-- A table's lock, because only roles that write may take one; an advisory lock may be taken, and kept, by a reader.
CREATE FUNCTION tidemill.lock_champion(model text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOCK TABLE tidemill.champion IN SHARE ROW EXCLUSIVE MODE;
    RETURN (SELECT c.release_id FROM tidemill.champion c WHERE c.model = lock_champion.model);
END $$;

CREATE FUNCTION tidemill.lock_alerts()
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOCK TABLE tidemill.alert IN SHARE ROW EXCLUSIVE MODE;
END $$;

CREATE FUNCTION tidemill.deploy(
    model text, release_id bigint, previous bigint, kind text, live_from timestamptz, approved_by text, reason text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deployed bigint;
    champion bigint;
BEGIN
    IF tidemill.lock_champion(model) IS DISTINCT FROM previous THEN
        RETURN NULL;
    END IF;
    IF kind = 'promote' AND 'accept' IS DISTINCT FROM (
        SELECT d.verdict FROM tidemill.release r JOIN tidemill.decision d USING (decision_id)
        WHERE r.model = deploy.model AND r.release_id = deploy.release_id
          AND d.kind = 'accept' AND (d.model, d.partition) = (r.model, r.partition)
          -- the bundle that the gate judged: of a training here, or of an archive
          AND r.bundle_digest = coalesce(d.evidence #>> '{bundle,digest}', d.evidence #>> '{origin,evaluation,bundle,digest}',
                                         r.bundle_digest))
    THEN
        RAISE EXCEPTION 'the gate has not accepted release % of model %', release_id, model
            USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO tidemill.deployment (model, release_id, previous_release_id, kind, live_from, approved_by, reason)
    VALUES (deploy.model, deploy.release_id, deploy.previous, deploy.kind, deploy.live_from, deploy.approved_by, deploy.reason)
    RETURNING deployment_id INTO deployed;
    INSERT INTO tidemill.champion AS c (model, release_id, deployment_id)
    SELECT l.model, l.release_id, l.deployment_id FROM tidemill.live l WHERE l.model = deploy.model
    ORDER BY l.live_from DESC, l.deployment_id DESC LIMIT 1
    ON CONFLICT ON CONSTRAINT champion_pkey
    DO UPDATE SET release_id = excluded.release_id, deployment_id = excluded.deployment_id
    RETURNING c.release_id INTO champion;
    PERFORM tidemill.append_event(kind, model, jsonb_build_object(
        'release_id', release_id, 'previous', previous, 'by', approved_by, 'reason', reason,
        'deployment_id', deployed, 'live_from', live_from));
    RETURN champion;
END $$;
COMMENT ON FUNCTION tidemill.deploy IS
    'Record that a release goes live; returns the champion, or NULL, with nothing changed, if the champion is not the previous.';

-- ---------------------------------------------------------------- declarations

CREATE FUNCTION tidemill.declaration(known tidemill.model)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('entity_key', known.entity_key, 'event_time', known.event_time, 'task', known.task)
$$;

CREATE OR REPLACE FUNCTION tidemill.declare_model(model text, entity_key text, event_time text, task text DEFAULT 'binary')
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known tidemill.model;
    declared tidemill.model;
BEGIN
    SELECT m.* INTO known FROM tidemill.model m WHERE m.model = declare_model.model;
    IF (known.entity_key, known.event_time, known.task)
        = (declare_model.entity_key, declare_model.event_time, declare_model.task) THEN
        RETURN;
    END IF;
    LOCK TABLE tidemill.model IN SHARE ROW EXCLUSIVE MODE;
    SELECT m.* INTO known FROM tidemill.model m WHERE m.model = declare_model.model;
    IF (known.entity_key, known.event_time, known.task)
        = (declare_model.entity_key, declare_model.event_time, declare_model.task) THEN
        RETURN;  -- somebody else has just declared it; doing it again would disturb those who write already
    END IF;
    INSERT INTO tidemill.model AS m (model, entity_key, event_time, task)
    VALUES (declare_model.model, declare_model.entity_key, declare_model.event_time, declare_model.task)
    ON CONFLICT ON CONSTRAINT model_pkey
    DO UPDATE SET entity_key = excluded.entity_key, event_time = excluded.event_time, task = excluded.task
    RETURNING m.* INTO declared;
    EXECUTE format('CREATE TABLE IF NOT EXISTS tidemill.%I PARTITION OF tidemill.prediction FOR VALUES IN (%L) '
                   'PARTITION BY LIST (partition)', 'prediction_' || model, model);
    EXECUTE format('GRANT SELECT ON tidemill.%I TO tidemill_writer, tidemill_promoter, tidemill_reader', 'prediction_' || model);
    IF to_regclass(format('predictions.%I', model)) IS NOT NULL THEN
        PERFORM tidemill.rename_view_columns(model, entity_key, event_time);
    END IF;
    IF known.task <> declare_model.task AND to_regclass(format('predictions.%I', model)) IS NOT NULL THEN
        PERFORM tidemill.remake_view(model);
    ELSE
        PERFORM tidemill.make_view(model);
    END IF;
    PERFORM tidemill.append_event('declare', model, tidemill.declaration(declared));
END $$;

-- ---------------------------------------------------------------- what is published and declared already

-- Older events do not record all that decides what readers see; a run that stands names itself as the previous one.
SELECT tidemill.append_event('publish', r.model, tidemill.publication(r, r.prediction_run_id))
FROM tidemill.published p JOIN tidemill.prediction_run r USING (prediction_run_id) ORDER BY p.model, p.partition;
SELECT tidemill.append_event('declare', m.model, tidemill.declaration(m)) FROM tidemill.model m ORDER BY m.model;

-- ---------------------------------------------------------------- who may do what

-- A temporary type shadows one of pg_catalog unless pg_temp is named last: it would run its code with the owner's rights.
DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN SELECT oid::regprocedure FROM pg_catalog.pg_proc
                   WHERE pronamespace = 'tidemill'::regnamespace AND proconfig @> ARRAY['search_path=""'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', routine);
    END LOOP;
END $$;

REVOKE INSERT, UPDATE ON tidemill.published FROM tidemill_writer;
REVOKE INSERT ON tidemill.decision FROM tidemill_writer;
REVOKE UPDATE ON tidemill.prediction_run, tidemill.run, tidemill.claim, tidemill.alert, tidemill.alert_message
    FROM tidemill_writer;
REVOKE INSERT, UPDATE ON tidemill.deployment, tidemill.champion FROM tidemill_promoter;

GRANT UPDATE (status, error, result, ended_at, wall_s, cpu_s, peak_rss_bytes, memory_limit_bytes, n_rows)
    ON tidemill.run TO tidemill_writer;
GRANT UPDATE (token, origin, run_id, claimed_at) ON tidemill.claim TO tidemill_writer;
GRANT UPDATE (status, severity, message, value, threshold, first_partition, last_partition, told, told_partition, run_id,
              updated_at, resolved_at, acknowledged_by, acknowledged_at) ON tidemill.alert TO tidemill_writer;
GRANT UPDATE (state, attempts, next_try, claimed_until, error, sent_at) ON tidemill.alert_message TO tidemill_writer;

REVOKE ALL ON FUNCTION tidemill.append_event, tidemill.publication, tidemill.move_pointer, tidemill.mark_stale,
    tidemill.record_decision, tidemill.lock_champion, tidemill.lock_alerts, tidemill.deploy, tidemill.declaration
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidemill.move_pointer, tidemill.mark_stale, tidemill.record_decision, tidemill.lock_alerts
    TO tidemill_writer;
GRANT EXECUTE ON FUNCTION tidemill.lock_champion, tidemill.deploy TO tidemill_promoter;
GRANT EXECUTE ON FUNCTION tidemill.publication, tidemill.declaration
    TO tidemill_writer, tidemill_promoter, tidemill_reader;  -- for the doctor
