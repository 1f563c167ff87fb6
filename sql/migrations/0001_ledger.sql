-- The ledger: what happened, in tables that an analyst understands without asking.
-- Run as tidemill_owner. The login roles tidemill_writer, tidemill_promoter and tidemill_reader exist already.

CREATE SCHEMA tidemill;
CREATE SCHEMA predictions;
COMMENT ON SCHEMA tidemill IS 'The ledger: every run, snapshot, release, prediction, metric and decision.';
COMMENT ON SCHEMA predictions IS 'One view per model: the published predictions, and nothing else.';

-- ---------------------------------------------------------------- models and runs

CREATE TABLE tidemill.model (
    model       text PRIMARY KEY CHECK (model ~ '^[a-z][a-z0-9_]{0,47}$'),
    entity_key  text NOT NULL,
    event_time  text NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tidemill.model IS 'Models that have been trained or scored at least once.';

CREATE TABLE tidemill.run (
    run_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model          text NOT NULL,
    chain          text NOT NULL CHECK (chain IN ('train', 'predict', 'monitor', 'retrain')),
    step           text NOT NULL,
    partition      text NOT NULL,
    status         text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'succeeded', 'failed')),
    error          text,
    result         jsonb,
    dag_id         text,
    dag_run_id     text,
    task_id        text,
    map_index      integer,
    try_number     integer,
    code_version   text NOT NULL,
    spec_digest    text NOT NULL,
    lock_digest    text,
    started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at       timestamptz,
    wall_s         double precision,
    cpu_s          double precision,
    peak_rss_bytes bigint,
    n_rows         bigint
);
CREATE INDEX run_by_partition ON tidemill.run (model, chain, partition);
COMMENT ON TABLE tidemill.run IS 'One row for every execution of a step, with what it cost.';
COMMENT ON COLUMN tidemill.run.wall_s IS 'Seconds from start to end.';
COMMENT ON COLUMN tidemill.run.cpu_s IS 'Seconds of processor time, all threads, children included.';
COMMENT ON COLUMN tidemill.run.peak_rss_bytes IS 'Largest resident set of the process up to the step''s end, in bytes.';
COMMENT ON COLUMN tidemill.run.lock_digest IS 'SHA-256 of names and versions of all installed packages.';
COMMENT ON COLUMN tidemill.run.result IS 'The record that the step returned.';

-- ---------------------------------------------------------------- data

CREATE TABLE tidemill.snapshot (
    digest       text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    model        text NOT NULL,
    purpose      text NOT NULL CHECK (purpose IN ('train', 'score', 'labels')),
    partition    text NOT NULL,
    start_at     timestamptz NOT NULL,
    end_at       timestamptz NOT NULL CHECK (end_at > start_at),
    cutoff       timestamptz NOT NULL,
    query_digest text NOT NULL,
    uri          text NOT NULL,
    n_rows       bigint NOT NULL,
    size_bytes   bigint NOT NULL,
    run_id       bigint REFERENCES tidemill.run,
    taken_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, digest)
);
COMMENT ON TABLE tidemill.snapshot IS 'Immutable Parquet data sets, named by the SHA-256 of their content.';

CREATE TABLE tidemill.check_result (
    check_result_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id          bigint NOT NULL REFERENCES tidemill.run,
    snapshot_digest text NOT NULL,
    expectation     text NOT NULL,
    column_name     text,
    severity        text NOT NULL CHECK (severity IN ('fail', 'warn')),
    success         boolean NOT NULL,
    observed        text NOT NULL,
    n_unexpected    bigint NOT NULL,
    failure_cases   text[] NOT NULL
);
CREATE INDEX check_result_by_run ON tidemill.check_result (run_id);
COMMENT ON TABLE tidemill.check_result IS 'The contract held against snapshots, one row an expectation.';

-- ---------------------------------------------------------------- models that serve

CREATE TABLE tidemill.decision (
    decision_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model       text NOT NULL,
    partition   text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('accept', 'retrain')),
    verdict     text NOT NULL CHECK (verdict IN ('accept', 'reject', 'not_enough_evidence')),
    reasons     text[] NOT NULL,
    evidence    jsonb NOT NULL,
    run_id      bigint REFERENCES tidemill.run,
    decided_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX decision_by_partition ON tidemill.decision (model, kind, partition);
COMMENT ON TABLE tidemill.decision IS 'Recorded yes or no, with the reasons and the evidence.';

CREATE TABLE tidemill.release (
    release_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model           text NOT NULL,
    bundle_digest   text NOT NULL CHECK (bundle_digest ~ '^[0-9a-f]{64}$'),
    bundle_uri      text NOT NULL,
    snapshot_digest text NOT NULL,
    split_digest    text NOT NULL,
    partition       text NOT NULL,
    estimator       text NOT NULL,
    metric          text NOT NULL,
    metric_value    double precision NOT NULL,
    evidence        jsonb NOT NULL,
    decision_id     bigint NOT NULL REFERENCES tidemill.decision,
    learnt_until    timestamptz NOT NULL,
    known_until     timestamptz NOT NULL,
    spec_digest     text NOT NULL,
    code_version    text NOT NULL,
    lock_digest     text NOT NULL,
    mlflow_run_id   text,
    run_id          bigint REFERENCES tidemill.run,
    registered_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (model, partition, bundle_digest),
    UNIQUE (model, release_id),
    FOREIGN KEY (model, snapshot_digest) REFERENCES tidemill.snapshot (model, digest)
);
COMMENT ON TABLE tidemill.release IS 'Bundles with their evidence and the gate''s decision; append-only.';
COMMENT ON COLUMN tidemill.release.learnt_until IS 'Start of its test set: no later row was fitted or chosen on.';
COMMENT ON COLUMN tidemill.release.known_until IS 'Cutoff of its training: nothing learnt later went into it.';

CREATE TABLE tidemill.deployment (
    deployment_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model               text NOT NULL,
    release_id          bigint NOT NULL,
    previous_release_id bigint,
    kind                text NOT NULL CHECK (kind IN ('promote', 'force', 'rollback')),
    live_from           timestamptz NOT NULL,
    approved_by         text NOT NULL,
    reason              text NOT NULL,
    deployed_at         timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (model, release_id) REFERENCES tidemill.release (model, release_id),
    FOREIGN KEY (model, previous_release_id) REFERENCES tidemill.release (model, release_id)
);
CREATE INDEX deployment_by_model ON tidemill.deployment (model, live_from, deployment_id);
COMMENT ON TABLE tidemill.deployment IS 'What went live when, by whose word and why; append-only.';
COMMENT ON COLUMN tidemill.deployment.kind IS
    'promote: the gate accepted it; force: a person did, against the gate; rollback: the previous release is undone.';
COMMENT ON COLUMN tidemill.deployment.live_from IS
    'Model time from which the release serves: the cutoff of the partition it was trained for.';

CREATE VIEW tidemill.live AS
SELECT model, release_id, live_from,
       lead(live_from) OVER (PARTITION BY model ORDER BY live_from, deployment_id) AS live_until,
       kind, approved_by, reason, deployed_at, deployment_id
FROM tidemill.deployment d
WHERE kind <> 'rollback'
  AND NOT EXISTS (SELECT FROM tidemill.deployment undone
                  WHERE undone.model = d.model AND undone.kind = 'rollback'
                    AND undone.previous_release_id = d.release_id AND undone.deployment_id > d.deployment_id);
COMMENT ON VIEW tidemill.live IS
    'Which release serves the partitions of which time; what was rolled back counts as never live.';

CREATE TABLE tidemill.champion (
    model         text PRIMARY KEY,
    release_id    bigint NOT NULL,
    deployment_id bigint NOT NULL REFERENCES tidemill.deployment,
    FOREIGN KEY (model, release_id) REFERENCES tidemill.release (model, release_id)
);
COMMENT ON TABLE tidemill.champion IS 'The release that is live for the newest partitions; changed by compare-and-set alone.';

-- ---------------------------------------------------------------- predictions

CREATE SEQUENCE tidemill.claim_token;

CREATE TABLE tidemill.claim (
    model      text NOT NULL,
    partition  text NOT NULL,
    token      bigint NOT NULL,
    run_id     bigint REFERENCES tidemill.run,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, partition)
);
COMMENT ON TABLE tidemill.claim IS 'The newest attempt at each partition; older ones may no longer publish.';

CREATE TABLE tidemill.prediction_run (
    prediction_run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model             text NOT NULL REFERENCES tidemill.model,
    partition         text NOT NULL,
    release_id        bigint NOT NULL REFERENCES tidemill.release,
    snapshot_digest   text NOT NULL,
    token             bigint NOT NULL,
    status            text NOT NULL DEFAULT 'writing'
                      CHECK (status IN ('writing', 'written', 'published', 'superseded', 'stale', 'collected')),
    threshold         double precision,
    simulated         boolean NOT NULL DEFAULT false,
    n_rows            bigint,
    checksum          text,
    mean_score        double precision,
    run_id            bigint REFERENCES tidemill.run,
    started_at        timestamptz NOT NULL DEFAULT now(),
    published_at      timestamptz,
    FOREIGN KEY (model, snapshot_digest) REFERENCES tidemill.snapshot (model, digest)
);
CREATE INDEX prediction_run_by_partition ON tidemill.prediction_run (model, partition);
COMMENT ON TABLE tidemill.prediction_run IS 'One attempt to score one partition with one release.';
COMMENT ON COLUMN tidemill.prediction_run.threshold IS 'Score from which the positive class is predicted.';
COMMENT ON COLUMN tidemill.prediction_run.checksum IS 'Exclusive or of a 64-bit hash of each key and score, in hexadecimal: the order of rows does not matter.';

CREATE TABLE tidemill.published (
    model             text NOT NULL,
    partition         text NOT NULL,
    prediction_run_id bigint NOT NULL UNIQUE REFERENCES tidemill.prediction_run,
    published_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, partition)
);
COMMENT ON TABLE tidemill.published IS 'The pointer: the one visible prediction run of each partition.';

CREATE TABLE tidemill.prediction (
    model             text NOT NULL,
    partition         text NOT NULL,
    release_id        bigint NOT NULL,
    prediction_run_id bigint NOT NULL,
    entity_key        text NOT NULL CHECK (entity_key <> ''),
    event_time        timestamptz NOT NULL,
    score             double precision NOT NULL CHECK (score >= 0 AND score <= 1)
) PARTITION BY LIST (model);
COMMENT ON TABLE tidemill.prediction IS
    'Rows of all prediction runs, visible or not; a table per model, and in it one per run. Read predictions.<model> instead.';
COMMENT ON COLUMN tidemill.prediction.score IS 'Probability of the positive class; NaN and infinity are refused.';

-- ---------------------------------------------------------------- watching

CREATE TABLE tidemill.metric (
    metric_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model          text NOT NULL,
    partition      text NOT NULL,
    part           text NOT NULL CHECK (part IN ('drift', 'performance', 'compute')),
    name           text NOT NULL,
    feature        text,
    slice          text,
    value          double precision NOT NULL,
    low            double precision,
    high           double precision,
    n              bigint,
    label_coverage double precision,
    release_id     bigint REFERENCES tidemill.release,
    as_of          timestamptz NOT NULL,
    run_id         bigint NOT NULL REFERENCES tidemill.run,
    computed_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX metric_by_partition ON tidemill.metric (model, part, partition, name);
COMMENT ON TABLE tidemill.metric IS
    'Figures about partitions. A later run adds rows and never changes old ones: the newest run_id counts.';
COMMENT ON COLUMN tidemill.metric.as_of IS 'Labels count as they were known at this instant of model time.';
COMMENT ON COLUMN tidemill.metric.low IS 'Lower end of the 95 % interval.';
COMMENT ON COLUMN tidemill.metric.label_coverage IS 'Share of the rows whose label is known, 0 to 1.';

CREATE TABLE tidemill.alert (
    alert_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model           text NOT NULL,
    rule            text NOT NULL,
    severity        text NOT NULL CHECK (severity IN ('fail', 'warn')),
    status          text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved')),
    message         text NOT NULL,
    value           double precision NOT NULL,
    threshold       double precision NOT NULL,
    first_partition text NOT NULL,
    last_partition  text NOT NULL,
    run_id          bigint NOT NULL REFERENCES tidemill.run,
    opened_at       timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    resolved_at     timestamptz
);
CREATE UNIQUE INDEX alert_open_once ON tidemill.alert (model, rule) WHERE status = 'open';
COMMENT ON TABLE tidemill.alert IS 'What a person should look at; one open alert a model and rule.';

-- ---------------------------------------------------------------- audit

CREATE TABLE tidemill.audit (
    audit_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event         text NOT NULL,
    model         text,
    details       jsonb NOT NULL,
    done_by       text NOT NULL DEFAULT session_user,
    done_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    previous_hash text NOT NULL,
    hash          text NOT NULL
);
COMMENT ON TABLE tidemill.audit IS
    'Append-only, by tidemill.append_audit alone; each hash covers the row and the hash before it.';

CREATE FUNCTION tidemill.audit_hash(previous_hash text, event text, model text, details jsonb, done_by text, done_at timestamptz)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = '' AS $$
    SELECT encode(sha256(convert_to(
        jsonb_build_array(previous_hash, event, model, details, done_by, extract(epoch FROM done_at))::text, 'UTF8')), 'hex')
$$;

CREATE FUNCTION tidemill.append_audit(event text, model text, details jsonb)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
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
    VALUES (append_audit.event, append_audit.model, append_audit.details, session_user, moment, previous,
            tidemill.audit_hash(previous, append_audit.event, append_audit.model, append_audit.details, session_user, moment))
    RETURNING audit_id INTO appended;
    RETURN appended;
END $$;

CREATE FUNCTION tidemill.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    RAISE EXCEPTION 'table %.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tidemill.audit
    FOR EACH STATEMENT EXECUTE FUNCTION tidemill.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tidemill.deployment
    FOR EACH STATEMENT EXECUTE FUNCTION tidemill.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF release_id, model, bundle_digest, bundle_uri,
    snapshot_digest, split_digest, partition, estimator, metric, metric_value, evidence, decision_id, learnt_until,
    known_until, spec_digest, code_version, lock_digest, run_id, registered_at ON tidemill.release
    FOR EACH STATEMENT EXECUTE FUNCTION tidemill.refuse_change();  -- all but where MLflow shows it

-- ---------------------------------------------------------------- what needs the owner's rights

CREATE FUNCTION tidemill.declare_model(model text, entity_key text, event_time text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    known tidemill.model;
BEGIN
    SELECT m.* INTO known FROM tidemill.model m WHERE m.model = declare_model.model;
    IF known.entity_key = declare_model.entity_key AND known.event_time = declare_model.event_time THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('tidemill.declare_model'));
    SELECT m.* INTO known FROM tidemill.model m WHERE m.model = declare_model.model;
    IF known.entity_key = declare_model.entity_key AND known.event_time = declare_model.event_time THEN
        RETURN;  -- somebody else has just declared it; doing it again would disturb those who write already
    END IF;
    INSERT INTO tidemill.model AS m (model, entity_key, event_time)
    VALUES (declare_model.model, declare_model.entity_key, declare_model.event_time)
    ON CONFLICT ON CONSTRAINT model_pkey DO UPDATE SET entity_key = excluded.entity_key, event_time = excluded.event_time;
    EXECUTE format('CREATE TABLE IF NOT EXISTS tidemill.%I PARTITION OF tidemill.prediction FOR VALUES IN (%L) '
                   'PARTITION BY LIST (prediction_run_id)', 'prediction_' || model, model);
    EXECUTE format('GRANT SELECT ON tidemill.%I TO tidemill_writer, tidemill_promoter, tidemill_reader', 'prediction_' || model);
    EXECUTE format('DROP VIEW IF EXISTS predictions.%I', model);
    EXECUTE format(
        'CREATE VIEW predictions.%1$I AS
         SELECT pointer.partition, row.entity_key AS %2$I, row.event_time AS %3$I, row.score,
                row.score >= run.threshold AS predicted_label, row.release_id, row.prediction_run_id,
                run.simulated, pointer.published_at
         FROM tidemill.published pointer
         JOIN tidemill.prediction_run run USING (prediction_run_id)
         JOIN tidemill.%4$I row USING (prediction_run_id)
         WHERE pointer.model = %5$L', model, entity_key, event_time, 'prediction_' || model, model);
    EXECUTE format('COMMENT ON VIEW predictions.%I IS %L', model,
                   'Published predictions of model ' || model || ': one prediction run a partition.');
    EXECUTE format('GRANT SELECT ON predictions.%I TO tidemill_writer, tidemill_promoter, tidemill_reader', model);
END $$;

CREATE FUNCTION tidemill.open_prediction_run(
    model text, partition text, release_id bigint, snapshot_digest text, token bigint,
    threshold double precision, simulated boolean, run_id bigint)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    opened bigint;
    rows_table text;
BEGIN
    INSERT INTO tidemill.prediction_run (model, partition, release_id, snapshot_digest, token, threshold, simulated, run_id)
    VALUES (open_prediction_run.model, open_prediction_run.partition, open_prediction_run.release_id,
            open_prediction_run.snapshot_digest, open_prediction_run.token, open_prediction_run.threshold,
            open_prediction_run.simulated, open_prediction_run.run_id)
    RETURNING prediction_run_id INTO opened;
    rows_table := 'prediction_run_' || opened;
    EXECUTE format('CREATE TABLE tidemill.%I (LIKE tidemill.prediction INCLUDING CONSTRAINTS)', rows_table);
    -- The constants of a run are defaults, so that COPY sends only what differs from row to row;
    -- the CHECK spares ATTACH a scan of the rows.
    EXECUTE format('ALTER TABLE tidemill.%I ALTER model SET DEFAULT %L, ALTER partition SET DEFAULT %L, '
                   'ALTER release_id SET DEFAULT %s, ALTER prediction_run_id SET DEFAULT %s, '
                   'ADD CONSTRAINT one_run CHECK (prediction_run_id = %s AND model = %L AND partition = %L AND release_id = %s)',
                   rows_table, model, partition, release_id, opened, opened, model, partition, release_id);
    EXECUTE format('GRANT SELECT, INSERT ON tidemill.%I TO tidemill_writer', rows_table);
    RETURN opened;
END $$;

CREATE FUNCTION tidemill.seal_prediction_run(prediction_run_id bigint)
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
        EXECUTE format('SELECT count(*), to_hex(coalesce(bit_xor(hashfloat8extended(score, hashtextextended(entity_key, 0))), 0)), '
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

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tidemill FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA tidemill, predictions TO tidemill_writer, tidemill_promoter, tidemill_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA tidemill TO tidemill_writer, tidemill_promoter, tidemill_reader;

GRANT INSERT ON tidemill.run, tidemill.snapshot, tidemill.check_result, tidemill.decision, tidemill.claim,
    tidemill.published, tidemill.metric, tidemill.alert TO tidemill_writer;
GRANT UPDATE ON tidemill.run, tidemill.claim, tidemill.published, tidemill.prediction_run, tidemill.alert TO tidemill_writer;
GRANT USAGE ON SEQUENCE tidemill.claim_token TO tidemill_writer;
GRANT EXECUTE ON FUNCTION tidemill.open_prediction_run, tidemill.seal_prediction_run TO tidemill_writer;

GRANT INSERT ON tidemill.release, tidemill.deployment, tidemill.champion TO tidemill_promoter;
GRANT UPDATE ON tidemill.champion TO tidemill_promoter;
GRANT UPDATE (mlflow_run_id) ON tidemill.release TO tidemill_promoter;
GRANT EXECUTE ON FUNCTION tidemill.declare_model, tidemill.append_audit TO tidemill_writer, tidemill_promoter;
GRANT EXECUTE ON FUNCTION tidemill.audit_hash TO tidemill_writer, tidemill_promoter, tidemill_reader;
