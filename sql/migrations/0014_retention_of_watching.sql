-- Retention of what monitoring keeps: examinations, messages that went out, counted features.

CREATE INDEX examination_by_run ON tidemill.examination (run_id);
CREATE INDEX partition_counts_by_run ON tidemill.partition_counts (run_id);

-- What stays whatever its age: the newest partitions', which later ones are held against; messages that wait, and those
-- that tell of an alert that is open, since a later mail continues their thread; what is held.
CREATE FUNCTION tidemill.collect_watching(model text, before timestamptz, newest_partitions integer, at_most integer)
RETURNS TABLE (n_examinations bigint, n_messages bigint, n_counts bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
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

REVOKE ALL ON FUNCTION tidemill.collect_watching FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidemill.collect_watching TO tidemill_writer;
