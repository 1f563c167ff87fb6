-- A view predictions.<model> keeps what others have built on it: new names of the key and the time rename its columns, and
-- other columns, of another task, are refused while anything depends on the view. Grants and comments survive both.

CREATE FUNCTION tidemill.view_dependents(model text)
RETURNS SETOF text LANGUAGE sql STABLE SET search_path = '' AS $$
    SELECT DISTINCT coalesce(rule.ev_class::regclass::text, pg_describe_object(d.classid, d.objid, d.objsubid))
    FROM pg_catalog.pg_class shown
    JOIN pg_catalog.pg_depend d ON (d.refclassid, d.refobjid) IN (('pg_catalog.pg_class'::regclass, shown.oid),
                                                                 ('pg_catalog.pg_type'::regclass, shown.reltype))
    LEFT JOIN pg_catalog.pg_rewrite rule ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND rule.oid = d.objid
    WHERE shown.oid = to_regclass(format('predictions.%I', model)) AND d.deptype IN ('n', 'a')
      AND rule.ev_class IS DISTINCT FROM shown.oid
    ORDER BY 1
$$;

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
END $$;

-- The key is the second column of every task's view, the time the third. A name of its own in between lets them swap.
CREATE FUNCTION tidemill.rename_view_columns(model text, entity_key text, event_time text)
RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    names text[];
BEGIN
    SELECT array_agg(a.attname ORDER BY a.attnum) INTO names FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = format('predictions.%I', model)::regclass AND a.attnum IN (2, 3);
    IF names = ARRAY[entity_key, event_time] THEN
        RETURN;
    END IF;
    EXECUTE format('ALTER TABLE predictions.%I RENAME COLUMN %I TO "the key meanwhile"', model, names[1]);
    IF names[2] <> event_time THEN
        EXECUTE format('ALTER TABLE predictions.%I RENAME COLUMN %I TO %I', model, names[2], event_time);
    END IF;
    EXECUTE format('ALTER TABLE predictions.%I RENAME COLUMN "the key meanwhile" TO %I', model, entity_key);
END $$;

-- Another task has other columns: the view is made anew, with the grants and the comments of the old one.
CREATE FUNCTION tidemill.remake_view(model text)
RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    old oid := format('predictions.%I', model)::regclass;
    dependents text := (SELECT string_agg(name, ', ') FROM tidemill.view_dependents(remake_view.model) name);
    columns text[];
    statements text[];
BEGIN
    IF dependents IS NOT NULL THEN
        RAISE EXCEPTION 'cannot change the columns of predictions.%: other objects depend on it', model
            USING ERRCODE = 'dependent_objects_still_exist', DETAIL = dependents;
    END IF;
    SELECT array_agg(kept.attname), array_agg(kept.statement) INTO columns, statements
    FROM (
        SELECT NULL AS attname, format('GRANT %s ON predictions.%I TO %s%s', g.privilege_type, model,
                   CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
                   CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS statement
        FROM pg_catalog.pg_class c, aclexplode(c.relacl) g WHERE c.oid = old AND g.grantee <> c.relowner
        UNION ALL
        SELECT a.attname::text, format('GRANT %s (%I) ON predictions.%I TO %s', g.privilege_type, a.attname, model,
                   CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END)
        FROM pg_catalog.pg_attribute a, aclexplode(a.attacl) g WHERE a.attrelid = old AND NOT a.attisdropped
        UNION ALL
        SELECT NULL, format('COMMENT ON VIEW predictions.%I IS %L', model, obj_description(old, 'pg_class'))
        UNION ALL
        SELECT a.attname::text,
               format('COMMENT ON COLUMN predictions.%I.%I IS %L', model, a.attname, col_description(old, a.attnum))
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = old AND col_description(old, a.attnum) IS NOT NULL
    ) kept;
    EXECUTE format('DROP VIEW predictions.%I', model);
    PERFORM tidemill.make_view(model);
    FOR i IN 1 .. cardinality(statements) LOOP
        IF columns[i] IS NULL OR EXISTS (
            SELECT FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = format('predictions.%I', model)::regclass AND a.attname = columns[i])
        THEN
            EXECUTE statements[i];
        END IF;
    END LOOP;
END $$;

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
    IF to_regclass(format('predictions.%I', model)) IS NOT NULL THEN
        PERFORM tidemill.rename_view_columns(model, entity_key, event_time);
    END IF;
    IF known.task <> declare_model.task AND to_regclass(format('predictions.%I', model)) IS NOT NULL THEN
        PERFORM tidemill.remake_view(model);
    ELSE
        PERFORM tidemill.make_view(model);
    END IF;
END $$;

REVOKE ALL ON FUNCTION tidemill.view_dependents, tidemill.rename_view_columns, tidemill.remake_view FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidemill.view_dependents TO tidemill_writer, tidemill_promoter, tidemill_reader;
