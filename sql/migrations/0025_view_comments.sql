-- Every column of a view predictions.<model> has a comment, so that a BI tool or dbt can show what it means. A comment that
-- somebody else has written stays.

CREATE FUNCTION tidemill.comment_view(model text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known tidemill.model;
    shown oid := to_regclass(format('predictions.%I', model));
    meaning text;
    found record;
BEGIN
    SELECT m.* INTO STRICT known FROM tidemill.model m WHERE m.model = comment_view.model;
    FOR found IN
        SELECT a.attname, a.attnum FROM pg_attribute a
        WHERE a.attrelid = shown AND a.attnum > 0 AND NOT a.attisdropped AND col_description(shown, a.attnum) IS NULL
    LOOP
        meaning := CASE
            WHEN found.attnum = 1 THEN 'Key of the partition, such as 2013-07-01; name it in WHERE, and only its rows are read.'
            WHEN found.attnum = 2 THEN 'Key of the row, as text; unique within a partition.'
            WHEN found.attnum = 3 THEN 'Time of the row''s event; the start of its partition if rows have no time.'
            ELSE CASE found.attname
                WHEN 'score' THEN CASE known.task
                    WHEN 'multiclass' THEN 'Probability of predicted_label, 0 to 1.'
                    ELSE 'Probability of the positive class, 0 to 1.' END
                WHEN 'predicted_label' THEN CASE known.task
                    WHEN 'multiclass' THEN 'The most probable class.'
                    ELSE 'Whether the score reaches the release''s threshold.' END
                WHEN 'probabilities' THEN 'Probability of each class, as a JSON object.'
                WHEN 'prediction' THEN 'The predicted number, in the unit of the label.'
                WHEN 'low' THEN 'Lower end of the interval that holds four of five values; NULL without one.'
                WHEN 'high' THEN 'Upper end of the interval that holds four of five values; NULL without one.'
                WHEN 'release_id' THEN 'Number of the release that has scored the row; see tidemill.release.'
                WHEN 'prediction_run_id' THEN 'Number of the run that has written the row; see tidemill.prediction_run.'
                WHEN 'simulated' THEN 'Whether the release has seen data from after the partition''s cutoff.'
                WHEN 'published_at' THEN 'Instant at which the partition became visible.'
                WHEN 'reasons' THEN 'Features with the largest contributions to the score; NULL if the spec asks for none.'
            END
        END;
        EXECUTE format('COMMENT ON COLUMN predictions.%I.%I IS %L', model, found.attname, meaning);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION tidemill.comment_view FROM PUBLIC;
COMMENT ON FUNCTION tidemill.comment_view IS 'Give each column of a model''s view a comment, unless it has one.';

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
    IF obj_description(format('predictions.%I', known.model)::regclass, 'pg_class') IS NULL THEN
        EXECUTE format('COMMENT ON VIEW predictions.%I IS %L', known.model,
                       'Published predictions of model ' || known.model || ': one prediction run a partition.');
    END IF;
    EXECUTE format('GRANT SELECT ON predictions.%I TO tidemill_writer, tidemill_promoter, tidemill_reader', known.model);
    PERFORM tidemill.comment_view(known.model);
END $$;

SELECT tidemill.comment_view(model) FROM tidemill.model WHERE to_regclass(format('predictions.%I', model)) IS NOT NULL;

COMMENT ON COLUMN tidemill.published_partition.model IS 'Name of the model; its rows are in the view predictions.<model>.';
COMMENT ON COLUMN tidemill.published_partition.partition IS 'Key of the partition.';
COMMENT ON COLUMN tidemill.published_partition.n_rows IS 'Rows that readers see; NULL if the partition is withheld and shows none.';
COMMENT ON COLUMN tidemill.published_partition.empty IS 'Whether there was nothing to score, and the partition was published as such.';
COMMENT ON COLUMN tidemill.published_partition.release_id IS 'Number of the release that has scored the rows.';
COMMENT ON COLUMN tidemill.published_partition.prediction_run_id IS 'Number of the run that has written the rows.';
COMMENT ON COLUMN tidemill.published_partition.simulated IS 'Whether the release has seen data from after the partition''s cutoff.';
COMMENT ON COLUMN tidemill.published_partition.published_at IS 'Instant at which the rows became visible; the column for freshness.';
