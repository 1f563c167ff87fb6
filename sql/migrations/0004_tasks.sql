-- Tasks: what a row answers depends on the model's task, and so does what a row may hold.

-- ---------------------------------------------------------------- what a row answers

ALTER TABLE tidemill.model ADD COLUMN task text NOT NULL DEFAULT 'binary'
    CHECK (task IN ('binary', 'multiclass', 'regression'));
COMMENT ON COLUMN tidemill.model.task IS 'What the model answers now; each prediction run keeps its own.';
ALTER TABLE tidemill.prediction_run ADD COLUMN task text NOT NULL DEFAULT 'binary'
    CHECK (task IN ('binary', 'multiclass', 'regression'));
COMMENT ON COLUMN tidemill.prediction_run.task IS 'What its rows answer.';
COMMENT ON COLUMN tidemill.prediction_run.checksum IS
    'Exclusive or of tidemill.answer_hash of each row, in hexadecimal: the order of rows does not matter.';

ALTER TABLE tidemill.prediction
    ADD COLUMN predicted     text,
    ADD COLUMN probabilities jsonb,
    ADD COLUMN low           double precision,
    ADD COLUMN high          double precision,
    ADD COLUMN reasons       jsonb,
    DROP CONSTRAINT prediction_score_check;  -- each run's table has a CHECK that suits its task, see open_prediction_run
COMMENT ON COLUMN tidemill.prediction.score IS
    'binary: probability of the positive class; multiclass: of the predicted class; regression: the predicted value. Always finite.';
COMMENT ON COLUMN tidemill.prediction.predicted IS 'multiclass: the most probable class.';
COMMENT ON COLUMN tidemill.prediction.probabilities IS 'multiclass: an object with the probability of each class.';
COMMENT ON COLUMN tidemill.prediction.low IS 'regression: lower end of the interval that holds four of five values.';
COMMENT ON COLUMN tidemill.prediction.high IS 'regression: upper end of that interval.';
COMMENT ON COLUMN tidemill.prediction.reasons IS
    'The features that moved the score most, greatest first: [{"feature", "value", "contribution"}]; NULL unless the spec asks.';

-- A row without the newer answers hashes as it did before there were any, so that older checksums still hold.
CREATE FUNCTION tidemill.answer_hash(
    entity_key text, score double precision, predicted text, probabilities jsonb,
    low double precision, high double precision, reasons jsonb)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN num_nonnulls(predicted, probabilities, low, high, reasons) = 0
                THEN hashfloat8extended(score, hashtextextended(entity_key, 0))
                ELSE hash_record_extended(ROW(predicted, probabilities, low, high, reasons),
                                          hashfloat8extended(score, hashtextextended(entity_key, 0)))
           END
$$;

-- ---------------------------------------------------------------- what readers see

CREATE FUNCTION tidemill.make_view(model text)
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
    EXECUTE format(
        'CREATE OR REPLACE VIEW predictions.%1$I AS
         SELECT pointer.partition, row.entity_key AS %2$I, row.event_time AS %3$I, %6$s,
                row.release_id, row.prediction_run_id, run.simulated, pointer.published_at, row.reasons
         FROM tidemill.published pointer
         JOIN tidemill.prediction_run run USING (prediction_run_id)
         JOIN tidemill.%4$I row USING (prediction_run_id)
         WHERE pointer.model = %5$L AND run.task = %7$L',
        known.model, known.entity_key, known.event_time, 'prediction_' || known.model, known.model, answers, known.task);
    EXECUTE format('COMMENT ON VIEW predictions.%I IS %L', known.model,
                   'Published predictions of model ' || known.model || ': one prediction run a partition.');
    EXECUTE format('GRANT SELECT ON predictions.%I TO tidemill_writer, tidemill_promoter, tidemill_reader', known.model);
END $$;

DROP FUNCTION tidemill.declare_model(text, text, text);
CREATE FUNCTION tidemill.declare_model(model text, entity_key text, event_time text, task text DEFAULT 'binary')
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
                   'PARTITION BY LIST (prediction_run_id)', 'prediction_' || model, model);
    EXECUTE format('GRANT SELECT ON tidemill.%I TO tidemill_writer, tidemill_promoter, tidemill_reader', 'prediction_' || model);
    EXECUTE format('DROP VIEW IF EXISTS predictions.%I', model);  -- its columns are other ones now
    PERFORM tidemill.make_view(model);
END $$;

SELECT tidemill.make_view(model) FROM tidemill.model;  -- every model so far is binary: its view gains a column at the end

-- ---------------------------------------------------------------- writing

CREATE OR REPLACE FUNCTION tidemill.open_prediction_run(
    model text, partition text, release_id bigint, snapshot_digest text, token bigint,
    threshold double precision, simulated boolean, run_id bigint)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    opened bigint;
    answers text;
    rows_table text;
    task_of_run text;
BEGIN
    INSERT INTO tidemill.prediction_run
        (model, partition, release_id, snapshot_digest, token, threshold, simulated, run_id, task)
    VALUES (open_prediction_run.model, open_prediction_run.partition, open_prediction_run.release_id,
            open_prediction_run.snapshot_digest, open_prediction_run.token, open_prediction_run.threshold,
            open_prediction_run.simulated, open_prediction_run.run_id,
            coalesce((SELECT m.task FROM tidemill.model m WHERE m.model = open_prediction_run.model), 'binary'))
    RETURNING prediction_run_id, task INTO opened, task_of_run;
    rows_table := 'prediction_run_' || opened;
    -- NaN counts as greater than Infinity, so that one comparison refuses both.
    answers := CASE task_of_run
        WHEN 'binary' THEN 'score >= 0 AND score <= 1'
        WHEN 'multiclass' THEN
            'score >= 0 AND score <= 1 AND predicted IS NOT NULL AND probabilities IS NOT NULL AND probabilities ? predicted'
        WHEN 'regression' THEN
            'score > ''-Infinity'' AND score < ''Infinity'' AND (low IS NULL) = (high IS NULL) '
            'AND (low IS NULL OR (low > ''-Infinity'' AND low <= high AND high < ''Infinity''))'
    END;
    EXECUTE format('CREATE TABLE tidemill.%I (LIKE tidemill.prediction INCLUDING CONSTRAINTS)', rows_table);
    -- The constants of a run are defaults, so that COPY sends only what differs from row to row;
    -- the CHECK spares ATTACH a scan of the rows.
    EXECUTE format('ALTER TABLE tidemill.%I ALTER model SET DEFAULT %L, ALTER partition SET DEFAULT %L, '
                   'ALTER release_id SET DEFAULT %s, ALTER prediction_run_id SET DEFAULT %s, '
                   'ADD CONSTRAINT one_run CHECK (prediction_run_id = %s AND model = %L AND partition = %L AND release_id = %s), '
                   'ADD CONSTRAINT %I CHECK (%s)',
                   rows_table, model, partition, release_id, opened, opened, model, partition, release_id,
                   'answers_' || task_of_run, answers);
    EXECUTE format('GRANT SELECT, INSERT ON tidemill.%I TO tidemill_writer', rows_table);
    RETURN opened;
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
        -- Last, for its lock on the model's table is held until COMMIT, and other attempts at the model wait for it.
        EXECUTE format('ALTER TABLE tidemill.%I ATTACH PARTITION tidemill.%I FOR VALUES IN (%s)',
                       'prediction_' || run.model, rows_table, run.prediction_run_id);
    END IF;
    RETURN QUERY SELECT run.n_rows, run.checksum, run.mean_score;
END $$;

-- ---------------------------------------------------------------- who may do what

REVOKE ALL ON FUNCTION tidemill.declare_model, tidemill.make_view, tidemill.answer_hash FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidemill.declare_model TO tidemill_writer, tidemill_promoter;
GRANT EXECUTE ON FUNCTION tidemill.answer_hash TO tidemill_writer, tidemill_promoter, tidemill_reader;
