-- Retention has minimum ages of its own: whoever may collect cannot erase what is younger, whatever instant they name.

CREATE FUNCTION tidemill.youngest_records()
RETURNS interval LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT interval '30 days'
$$;
COMMENT ON FUNCTION tidemill.youngest_records IS 'Age below which no record is deleted: the least that a spec may ask for.';

CREATE OR REPLACE FUNCTION tidemill.collect_records(
    model text, before timestamptz, newest_partitions integer, newest_runs integer, at_most integer)
RETURNS TABLE (n_metrics bigint, n_checks bigint, n_runs bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unnamed text;
BEGIN
    before := least(before, clock_timestamp() - tidemill.youngest_records());
    DELETE FROM tidemill.metric gone WHERE gone.metric_id IN (
        SELECT m.metric_id FROM tidemill.metric m
        WHERE m.model = collect_records.model AND m.computed_at < before
          AND (m.part, m.partition) NOT IN (
              SELECT ranked.part, ranked.partition
              FROM (SELECT n.part, n.partition, dense_rank() OVER (PARTITION BY n.part ORDER BY n.partition DESC) AS place
                    FROM tidemill.metric n WHERE n.model = collect_records.model) ranked
              WHERE ranked.place <= newest_partitions)
          AND NOT EXISTS (SELECT FROM tidemill.held h
                          WHERE h.model = m.model AND (h.what, h.name) IN (('partition', m.partition),
                                                                           ('release', m.release_id::text)))
        LIMIT at_most);
    GET DIAGNOSTICS n_metrics = ROW_COUNT;

    DELETE FROM tidemill.check_result gone WHERE gone.check_result_id IN (
        SELECT c.check_result_id FROM tidemill.check_result c JOIN tidemill.run r USING (run_id)
        WHERE r.model = collect_records.model AND coalesce(r.ended_at, r.started_at) < before
          AND NOT EXISTS (SELECT FROM tidemill.release e
                          WHERE e.model = r.model AND e.snapshot_digest = c.snapshot_digest)
          AND NOT EXISTS (SELECT FROM tidemill.prediction_run p
                          WHERE p.model = r.model AND p.snapshot_digest = c.snapshot_digest AND p.status <> 'collected')
          AND NOT EXISTS (SELECT FROM tidemill.held h
                          WHERE h.model = r.model AND (h.what, h.name) = ('snapshot', c.snapshot_digest))
        LIMIT at_most);
    GET DIAGNOSTICS n_checks = ROW_COUNT;

    SELECT string_agg(format('NOT EXISTS (SELECT FROM %s ref WHERE ref.%I = r.run_id)', c.conrelid::regclass, a.attname),
                      ' AND ') INTO unnamed
    FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    WHERE c.contype = 'f' AND c.confrelid = 'tidemill.run'::regclass;
    EXECUTE 'DELETE FROM tidemill.run gone WHERE gone.run_id IN ('
            '    SELECT r.run_id FROM tidemill.run r'
            '    WHERE r.model = $1 AND r.status <> ''running'' AND coalesce(r.ended_at, r.started_at) < $2'
            '      AND r.run_id NOT IN (SELECT n.run_id FROM tidemill.run n WHERE n.model = $1 AND n.status = ''succeeded'''
            '                           ORDER BY n.run_id DESC LIMIT $3)'
            '      AND ' || unnamed || ' LIMIT $4)'
    USING model, before, newest_runs, at_most;
    GET DIAGNOSTICS n_runs = ROW_COUNT;

    IF n_metrics + n_checks + n_runs > 0 THEN
        PERFORM tidemill.append_audit('collect', model, jsonb_build_object(
            'kind', 'records', 'name', format('%s metrics, %s checks, %s runs', n_metrics, n_checks, n_runs),
            'before', before, 'size_bytes', 0, 'reason', format('older than %s, and nothing that is kept speaks of them', before)));
    END IF;
    RETURN NEXT;
END $$;

CREATE OR REPLACE FUNCTION tidemill.collect_watching(model text, before timestamptz, newest_partitions integer, at_most integer)
RETURNS TABLE (n_examinations bigint, n_messages bigint, n_counts bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    before := least(before, clock_timestamp() - tidemill.youngest_records());
    DELETE FROM tidemill.examination gone WHERE gone.examination_id IN (
        SELECT e.examination_id FROM tidemill.examination e
        WHERE e.model = collect_watching.model AND e.examined_at < before
          AND e.partition NOT IN (SELECT DISTINCT n.partition FROM tidemill.examination n
                                  WHERE n.model = collect_watching.model ORDER BY 1 DESC LIMIT newest_partitions)
          AND NOT EXISTS (SELECT FROM tidemill.held h
                          WHERE h.model = e.model AND (h.what, h.name) = ('partition', e.partition))
        LIMIT at_most);
    GET DIAGNOSTICS n_examinations = ROW_COUNT;

    DELETE FROM tidemill.alert_message gone WHERE gone.message_id IN (
        SELECT m.message_id FROM tidemill.alert_message m
        WHERE m.model = collect_watching.model AND m.state = 'sent' AND m.sent_at < before
          AND NOT EXISTS (SELECT FROM tidemill.alert_event e JOIN tidemill.alert a USING (alert_id)
                          WHERE e.event_id = ANY (m.event_ids) AND a.status = 'open')
        LIMIT at_most);
    GET DIAGNOSTICS n_messages = ROW_COUNT;

    DELETE FROM tidemill.partition_counts gone WHERE (gone.prediction_run_id, gone.release_id) IN (
        SELECT c.prediction_run_id, c.release_id
        FROM tidemill.partition_counts c JOIN tidemill.prediction_run r USING (prediction_run_id)
        WHERE r.model = collect_watching.model AND c.counted_at < before
          AND r.partition NOT IN (SELECT p.partition FROM tidemill.published p
                                  WHERE p.model = collect_watching.model ORDER BY 1 DESC LIMIT newest_partitions)
        LIMIT at_most);
    GET DIAGNOSTICS n_counts = ROW_COUNT;

    IF n_examinations + n_messages + n_counts > 0 THEN
        PERFORM tidemill.append_audit('collect', model, jsonb_build_object(
            'kind', 'records',
            'name', format('%s examinations, %s messages, %s counts', n_examinations, n_messages, n_counts),
            'before', before, 'size_bytes', 0,
            'reason', format('older than %s, and nothing later is held against them', before)));
    END IF;
    RETURN NEXT;
END $$;

CREATE OR REPLACE FUNCTION tidemill.collect_prediction_run(prediction_run_id bigint, status_since timestamptz, reason text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
    run tidemill.prediction_run;
    rows_table text := 'prediction_run_' || collect_prediction_run.prediction_run_id;
    parent regclass;
    size_bytes bigint := 0;
BEGIN
    SELECT r.* INTO run FROM tidemill.prediction_run r
    WHERE r.prediction_run_id = collect_prediction_run.prediction_run_id FOR UPDATE NOWAIT;
    IF NOT FOUND OR run.status NOT IN ('writing', 'written', 'stale', 'superseded')
        OR run.status_since <> collect_prediction_run.status_since  -- it is no longer what the caller decided about
        OR run.status_since > clock_timestamp() - interval '1 day'  -- the least that a spec may ask for
        OR EXISTS (SELECT FROM tidemill.published p WHERE p.prediction_run_id = run.prediction_run_id)
        OR EXISTS (SELECT FROM tidemill.held h
                   WHERE h.model = run.model
                     AND (h.what, h.name) IN (('prediction_run', run.prediction_run_id::text),
                                              ('partition', run.partition), ('release', run.release_id::text)))
    THEN
        RETURN 'kept';
    END IF;
    LOCK TABLE tidemill.audit IN SHARE ROW EXCLUSIVE MODE;  -- first, so that nothing is waited for with readers shut out
    SELECT i.inhparent INTO parent FROM pg_catalog.pg_inherits i
    WHERE i.inhrelid = to_regclass('tidemill.' || rows_table);
    IF parent IS NOT NULL THEN
        BEGIN
            EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', parent);
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            RETURN 'reading';
        END;
    END IF;
    IF to_regclass('tidemill.' || rows_table) IS NOT NULL THEN
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

REVOKE ALL ON FUNCTION tidemill.youngest_records FROM PUBLIC;
