-- Retention of the ledger's own rows: figures, checks and runs that nothing speaks of any more.

CREATE INDEX metric_by_run ON tidemill.metric (run_id);
CREATE INDEX snapshot_by_run ON tidemill.snapshot (run_id);
CREATE INDEX decision_by_run ON tidemill.decision (run_id);
CREATE INDEX prediction_run_by_run ON tidemill.prediction_run (run_id);

-- What stays whatever its age: the audit, decisions, releases, deployments and alerts, with the runs that they name; the
-- checks of data that a release or an uncollected prediction run stands on; the figures of each part's newest
-- partitions, which monitoring looks back on; the newest runs, whose cost later ones are compared with; what is held.
CREATE FUNCTION tidemill.collect_records(
    model text, before timestamptz, newest_partitions integer, newest_runs integer, at_most integer)
RETURNS TABLE (n_metrics bigint, n_checks bigint, n_runs bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    unnamed text;
BEGIN
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

REVOKE ALL ON FUNCTION tidemill.collect_records FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidemill.collect_records TO tidemill_writer;
