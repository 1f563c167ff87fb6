-- The runs of one partition get a table of their own above them, so that a reader who names the partition opens and
-- locks that partition's few runs alone. Until now every read planned with, and locked, all runs that a model had.

CREATE TABLE tidemill.prediction_part (
    part_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model     text NOT NULL REFERENCES tidemill.model,
    partition text NOT NULL,
    UNIQUE (model, partition)
);
COMMENT ON TABLE tidemill.prediction_part IS
    'The table tidemill.prediction_part_<part_id> holds the prediction runs of this partition, visible or not.';

COMMENT ON TABLE tidemill.prediction IS
    'Rows of all prediction runs, visible or not; a table per model, in it one per partition, in it one per run. '
    'Read predictions.<model> instead.';

-- ---------------------------------------------------------------- a model, its view, its parts

CREATE OR REPLACE FUNCTION tidemill.declare_model(model text, entity_key text, event_time text, task text DEFAULT 'binary')
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    known tidemill.model;
BEGIN
    SELECT m.* INTO known FROM tidemill.model m WHERE m.model = declare_model.model;
    IF (known.entity_key, known.event_time, known.task)
        = (declare_model.entity_key, declare_model.event_time, declare_model.task) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('tidemill.declare_model'));
    SELECT m.* INTO known FROM tidemill.model m WHERE m.model = declare_model.model;
    IF (known.entity_key, known.event_time, known.task)
        = (declare_model.entity_key, declare_model.event_time, declare_model.task) THEN
        RETURN;  -- somebody else has just declared it; doing it again would disturb those who write already
    END IF;
    INSERT INTO tidemill.model AS m (model, entity_key, event_time, task)
    VALUES (declare_model.model, declare_model.entity_key, declare_model.event_time, declare_model.task)
    ON CONFLICT ON CONSTRAINT model_pkey
    DO UPDATE SET entity_key = excluded.entity_key, event_time = excluded.event_time, task = excluded.task;
    EXECUTE format('CREATE TABLE IF NOT EXISTS tidemill.%I PARTITION OF tidemill.prediction FOR VALUES IN (%L) '
                   'PARTITION BY LIST (partition)', 'prediction_' || model, model);
    EXECUTE format('GRANT SELECT ON tidemill.%I TO tidemill_writer, tidemill_promoter, tidemill_reader', 'prediction_' || model);
    EXECUTE format('DROP VIEW IF EXISTS predictions.%I', model);  -- its columns are other ones now
    PERFORM tidemill.make_view(model);
END $$;

CREATE OR REPLACE FUNCTION tidemill.make_view(model text)
RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    known tidemill.model;
    answers text;
BEGIN
    SELECT m.* INTO STRICT known FROM tidemill.model m WHERE m.model = make_view.model;
    answers := CASE known.task
        WHEN 'binary' THEN 'row.score, row.score >= run.threshold AS predicted_label'
        WHEN 'multiclass' THEN 'row.predicted AS predicted_label, row.score, row.probabilities'
        WHEN 'regression' THEN 'row.score AS prediction, row.low, row.high'
    END;
    -- The partition is the rows' own, and they are joined on it too, which the run alone would decide: so what a
    -- reader asks of it is known while the query is planned, and all other partitions are left out.
    EXECUTE format(
        'CREATE OR REPLACE VIEW predictions.%1$I AS
         SELECT row.partition, row.entity_key AS %2$I, row.event_time AS %3$I, %6$s,
                row.release_id, row.prediction_run_id, run.simulated, pointer.published_at, row.reasons
         FROM tidemill.published pointer
         JOIN tidemill.prediction_run run USING (prediction_run_id)
         JOIN tidemill.%4$I row ON row.partition = pointer.partition
                               AND row.prediction_run_id = pointer.prediction_run_id
         WHERE pointer.model = %5$L AND run.task = %7$L',
        known.model, known.entity_key, known.event_time, 'prediction_' || known.model, known.model, answers, known.task);
    EXECUTE format('COMMENT ON VIEW predictions.%I IS %L', known.model,
                   'Published predictions of model ' || known.model || ': one prediction run a partition.');
    EXECUTE format('GRANT SELECT ON predictions.%I TO tidemill_writer, tidemill_promoter, tidemill_reader', known.model);
END $$;

CREATE FUNCTION tidemill.prediction_part_of(model text, partition text)
RETURNS text LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    part bigint;
    part_table text;
BEGIN
    SELECT p.part_id INTO part FROM tidemill.prediction_part p
    WHERE p.model = prediction_part_of.model AND p.partition = prediction_part_of.partition;
    IF FOUND THEN
        RETURN 'prediction_part_' || part;
    END IF;
    INSERT INTO tidemill.prediction_part AS p (model, partition)
    VALUES (prediction_part_of.model, prediction_part_of.partition)
    ON CONFLICT ON CONSTRAINT prediction_part_model_partition_key DO NOTHING RETURNING p.part_id INTO part;
    IF part IS NULL THEN  -- somebody else has made it in this instant, and committed
        RETURN tidemill.prediction_part_of(model, partition);
    END IF;
    part_table := 'prediction_part_' || part;
    EXECUTE format('CREATE TABLE tidemill.%I (LIKE tidemill.prediction INCLUDING CONSTRAINTS) '
                   'PARTITION BY LIST (prediction_run_id)', part_table);
    EXECUTE format('GRANT SELECT ON tidemill.%I TO tidemill_writer, tidemill_promoter, tidemill_reader', part_table);
    -- Made apart and attached: CREATE TABLE … PARTITION OF would shut the model's readers out.
    EXECUTE format('ALTER TABLE tidemill.%I ATTACH PARTITION tidemill.%I FOR VALUES IN (%L)',
                   'prediction_' || model, part_table, partition);
    RETURN part_table;
END $$;

CREATE OR REPLACE FUNCTION tidemill.seal_prediction_run(prediction_run_id bigint)
RETURNS TABLE (n_rows bigint, checksum text, mean_score double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
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
        UPDATE tidemill.prediction_run r
        SET status = 'written', n_rows = run.n_rows, checksum = run.checksum, mean_score = run.mean_score
        WHERE r.prediction_run_id = run.prediction_run_id;
        -- Last, for its lock on the partition's table is held until COMMIT, and other attempts at the partition wait
        -- for it; at the model, if this is the partition's first.
        EXECUTE format('ALTER TABLE tidemill.%I ATTACH PARTITION tidemill.%I FOR VALUES IN (%s)',
                       tidemill.prediction_part_of(run.model, run.partition), rows_table, run.prediction_run_id);
    END IF;
    RETURN QUERY SELECT run.n_rows, run.checksum, run.mean_score;
END $$;

-- As before, but for the table whose readers have to be waited for: the partition's, no longer the model's.
CREATE OR REPLACE FUNCTION tidemill.collect_prediction_run(prediction_run_id bigint, status_since timestamptz, reason text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET lock_timeout = '50ms' AS $$
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

-- ---------------------------------------------------------------- the runs that are there already

DO $$
DECLARE
    known record;
    run record;
BEGIN
    FOR known IN SELECT * FROM tidemill.model LOOP
        -- The view stands still on nothing meanwhile: dropping it would take along what others have built on it.
        EXECUTE (
            SELECT format('CREATE OR REPLACE VIEW predictions.%I AS SELECT %s WHERE false', known.model, string_agg(
                       format('NULL::%s AS %I', format_type(a.atttypid, a.atttypmod), a.attname), ', ' ORDER BY a.attnum))
            FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = format('predictions.%I', known.model)::regclass AND a.attnum > 0 AND NOT a.attisdropped);
        CREATE TEMPORARY TABLE attached ON COMMIT DROP AS
        SELECT r.prediction_run_id, r.partition FROM tidemill.prediction_run r
        JOIN pg_catalog.pg_inherits i ON i.inhrelid = to_regclass('tidemill.prediction_run_' || r.prediction_run_id)
        WHERE r.model = known.model;
        FOR run IN SELECT * FROM attached LOOP
            EXECUTE format('ALTER TABLE tidemill.%I DETACH PARTITION tidemill.%I', 'prediction_' || known.model,
                           'prediction_run_' || run.prediction_run_id);
        END LOOP;
        EXECUTE format('DROP TABLE tidemill.%I', 'prediction_' || known.model);
        EXECUTE format('CREATE TABLE tidemill.%I PARTITION OF tidemill.prediction FOR VALUES IN (%L) PARTITION BY LIST (partition)',
                       'prediction_' || known.model, known.model);
        EXECUTE format('GRANT SELECT ON tidemill.%I TO tidemill_writer, tidemill_promoter, tidemill_reader',
                       'prediction_' || known.model);
        FOR run IN SELECT * FROM attached LOOP
            EXECUTE format('ALTER TABLE tidemill.%I ATTACH PARTITION tidemill.%I FOR VALUES IN (%s)',
                           tidemill.prediction_part_of(known.model, run.partition),
                           'prediction_run_' || run.prediction_run_id, run.prediction_run_id);
        END LOOP;
        DROP TABLE attached;
        PERFORM tidemill.make_view(known.model);
    END LOOP;
END $$;

-- ---------------------------------------------------------------- who may do what

REVOKE ALL ON FUNCTION tidemill.prediction_part_of FROM PUBLIC;
GRANT SELECT ON tidemill.prediction_part TO tidemill_writer, tidemill_promoter, tidemill_reader;
