-- Rows that are set aside: they break an expectation of severity quarantine, or their score is not a number.

ALTER TABLE tidemill.check_result DROP CONSTRAINT check_result_severity_check,
    ADD CONSTRAINT check_result_severity_check CHECK (severity IN ('fail', 'warn', 'quarantine'));

ALTER TABLE tidemill.snapshot ADD COLUMN n_set_aside bigint NOT NULL DEFAULT 0 CHECK (n_set_aside >= 0);
COMMENT ON COLUMN tidemill.snapshot.n_set_aside IS
    'Rows that the source returned beside the n_rows, and that break an expectation of severity quarantine.';

ALTER TABLE tidemill.prediction_run ADD COLUMN n_extracted bigint, ADD COLUMN n_set_aside bigint;
UPDATE tidemill.prediction_run SET n_extracted = n_rows, n_set_aside = 0 WHERE n_rows IS NOT NULL;
ALTER TABLE tidemill.prediction_run ADD CONSTRAINT rows_in_are_rows_out
    CHECK (n_rows IS NULL OR coalesce(n_rows + n_set_aside = n_extracted, false));
COMMENT ON COLUMN tidemill.prediction_run.n_extracted IS 'Rows that the source returned: n_rows + n_set_aside.';
COMMENT ON COLUMN tidemill.prediction_run.n_set_aside IS 'Rows in tidemill.quarantine instead of the predictions.';

CREATE TABLE tidemill.quarantine (
    prediction_run_id bigint NOT NULL REFERENCES tidemill.prediction_run,
    model             text NOT NULL,
    partition         text NOT NULL,
    row_number        bigint,
    entity_key        text,
    expectation       text NOT NULL,
    column_name       text,
    value             text CHECK (length(value) <= 100),
    CHECK (row_number IS NOT NULL OR entity_key IS NOT NULL)
);
CREATE INDEX quarantine_by_run ON tidemill.quarantine (prediction_run_id);
COMMENT ON TABLE tidemill.quarantine IS
    'Why a row of a prediction run was set aside, one row per expectation that it breaks. Goes with the rows of the run.';
COMMENT ON COLUMN tidemill.quarantine.row_number IS
    'Position among the rows that the source returned, from 0; NULL if the row was set aside for its score.';

CREATE FUNCTION tidemill.set_aside(prediction_run_id bigint, row_numbers bigint[], entity_keys text[], expectations text[],
                                   column_names text[], "values" text[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run tidemill.prediction_run;
BEGIN
    SELECT r.* INTO run FROM tidemill.prediction_run r
    WHERE r.prediction_run_id = set_aside.prediction_run_id AND r.status = 'writing' FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'prediction run % is sealed', set_aside.prediction_run_id USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO tidemill.quarantine
        (prediction_run_id, model, partition, row_number, entity_key, expectation, column_name, value)
    SELECT run.prediction_run_id, run.model, run.partition, broken.*
    FROM unnest(row_numbers, entity_keys, expectations, column_names, "values") broken;
END $$;
COMMENT ON FUNCTION tidemill.set_aside IS 'Record rows of an open prediction run that are set aside.';

-- As before, and the rows set aside are counted, too. If they do not add up to the snapshot's, the run stays open.
DROP FUNCTION tidemill.seal_prediction_run;
CREATE FUNCTION tidemill.seal_prediction_run(prediction_run_id bigint)
RETURNS TABLE (n_rows bigint, n_set_aside bigint, n_extracted bigint, checksum text, mean_score double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run tidemill.prediction_run;
    rows_table text := 'prediction_run_' || seal_prediction_run.prediction_run_id;
BEGIN
    SELECT r.* INTO run FROM tidemill.prediction_run r
    WHERE r.prediction_run_id = seal_prediction_run.prediction_run_id FOR UPDATE;
    IF run.status = 'writing' THEN
        EXECUTE format('REVOKE INSERT ON tidemill.%I FROM tidemill_writer', rows_table);
        EXECUTE format('ALTER TABLE tidemill.%I ADD PRIMARY KEY (prediction_run_id, entity_key)', rows_table);
        EXECUTE format('GRANT SELECT ON tidemill.%I TO tidemill_promoter, tidemill_reader', rows_table);
        EXECUTE format('SELECT count(*), to_hex(coalesce(bit_xor('
                       'tidemill.answer_hash(entity_key, score, predicted, probabilities, low, high, reasons)), 0)), '
                       'avg(score) FROM tidemill.%I', rows_table)
        INTO run.n_rows, run.checksum, run.mean_score;
        SELECT s.n_rows + s.n_set_aside INTO run.n_extracted FROM tidemill.snapshot s
        WHERE (s.model, s.digest) = (run.model, run.snapshot_digest);
        SELECT count(DISTINCT q.row_number) + count(*) FILTER (WHERE q.row_number IS NULL) INTO run.n_set_aside
        FROM tidemill.quarantine q WHERE q.prediction_run_id = run.prediction_run_id;
        IF run.n_rows + run.n_set_aside = run.n_extracted THEN
            UPDATE tidemill.prediction_run r
            SET status = 'written', n_rows = run.n_rows, n_set_aside = run.n_set_aside, n_extracted = run.n_extracted,
                checksum = run.checksum, mean_score = run.mean_score
            WHERE r.prediction_run_id = run.prediction_run_id;
            -- Last, for its lock on the partition's table is held until COMMIT, and other attempts at the partition wait
            -- for it; at the model, if this is the partition's first.
            EXECUTE format('ALTER TABLE tidemill.%I ATTACH PARTITION tidemill.%I FOR VALUES IN (%s)',
                           tidemill.prediction_part_of(run.model, run.partition), rows_table, run.prediction_run_id);
        END IF;
    END IF;
    RETURN QUERY SELECT run.n_rows, run.n_set_aside, run.n_extracted, run.checksum, run.mean_score;
END $$;

CREATE FUNCTION tidemill.forget_quarantine() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM tidemill.quarantine q WHERE q.prediction_run_id = NEW.prediction_run_id;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_quarantine AFTER UPDATE OF status ON tidemill.prediction_run
    FOR EACH ROW WHEN (NEW.status = 'collected') EXECUTE FUNCTION tidemill.forget_quarantine();

CREATE OR REPLACE VIEW tidemill.published_partition AS
SELECT pointer.model, pointer.partition, run.n_rows, run.n_rows = 0 AS empty, run.release_id, run.prediction_run_id,
       run.simulated, pointer.published_at, held.prediction_run_id IS NOT NULL AS withheld, run.marked, inspection.reasons,
       run.n_set_aside
FROM tidemill.published pointer
JOIN tidemill.prediction_run run USING (prediction_run_id)
LEFT JOIN tidemill.prediction_run held
       ON (held.model, held.partition, held.status) = (pointer.model, pointer.partition, 'withheld')
LEFT JOIN tidemill.decision inspection
       ON inspection.decision_id = coalesce(held.inspection_id, CASE WHEN run.marked THEN run.inspection_id END)
UNION ALL
SELECT held.model, held.partition, NULL, NULL, NULL, NULL, NULL, NULL, true, false, inspection.reasons, NULL
FROM tidemill.prediction_run held
JOIN tidemill.decision inspection ON inspection.decision_id = held.inspection_id
WHERE held.status = 'withheld'
  AND NOT EXISTS (SELECT FROM tidemill.published p WHERE (p.model, p.partition) = (held.model, held.partition));
COMMENT ON COLUMN tidemill.published_partition.n_set_aside IS
    'Rows of the partition that are in tidemill.quarantine, and not among the n_rows.';

GRANT SELECT ON tidemill.quarantine TO tidemill_writer, tidemill_promoter, tidemill_reader;
REVOKE ALL ON FUNCTION tidemill.set_aside, tidemill.seal_prediction_run, tidemill.forget_quarantine FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidemill.set_aside, tidemill.seal_prediction_run TO tidemill_writer;
