-- A training repeated on corrected labels may give the same bundle and another verdict. The newest judgement of a release
-- counts everywhere; every judgement stays on record.

DROP TRIGGER append_only ON tidemill.release;
ALTER TABLE tidemill.release RENAME TO registration;
COMMENT ON TABLE tidemill.registration IS 'Bundles and the partitions as of which they were trained; append-only.';

CREATE TABLE tidemill.judgement (
    release_id      bigint NOT NULL,
    decision_id     bigint NOT NULL REFERENCES tidemill.decision,
    model           text NOT NULL,
    snapshot_digest text NOT NULL,
    split_digest    text NOT NULL,
    metric          text NOT NULL,
    metric_value    double precision NOT NULL,
    evidence        jsonb NOT NULL,
    learnt_until    timestamptz NOT NULL,
    known_until     timestamptz NOT NULL,
    spec_digest     text NOT NULL,
    code_version    text NOT NULL,
    lock_digest     text NOT NULL,
    run_id          bigint REFERENCES tidemill.run,
    requested_by    text NOT NULL DEFAULT '',
    judged_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (release_id, decision_id),
    FOREIGN KEY (model, release_id) REFERENCES tidemill.registration (model, release_id),
    FOREIGN KEY (model, snapshot_digest) REFERENCES tidemill.snapshot (model, digest)
);
CREATE INDEX judgement_by_run ON tidemill.judgement (run_id);
COMMENT ON TABLE tidemill.judgement IS
    'Each evaluation of a release, with the gate''s decision about it; append-only, and the newest decision counts.';
COMMENT ON COLUMN tidemill.judgement.learnt_until IS 'Start of the test set: no later row was fitted or chosen on.';
COMMENT ON COLUMN tidemill.judgement.known_until IS 'Cutoff of the training: nothing learnt later went into it.';
COMMENT ON COLUMN tidemill.judgement.requested_by IS 'Who asked for the training by hand; empty if the schedule did.';

INSERT INTO tidemill.judgement
SELECT release_id, decision_id, model, snapshot_digest, split_digest, metric, metric_value, evidence, learnt_until,
       known_until, spec_digest, code_version, lock_digest, run_id, requested_by, registered_at
FROM tidemill.registration;

ALTER TABLE tidemill.registration
    DROP COLUMN decision_id,
    DROP COLUMN snapshot_digest,
    DROP COLUMN split_digest,
    DROP COLUMN metric,
    DROP COLUMN metric_value,
    DROP COLUMN evidence,
    DROP COLUMN learnt_until,
    DROP COLUMN known_until,
    DROP COLUMN spec_digest,
    DROP COLUMN code_version,
    DROP COLUMN lock_digest,
    DROP COLUMN run_id,
    DROP COLUMN requested_by;

CREATE VIEW tidemill.release AS
SELECT registered.release_id, registered.model, registered.bundle_digest, registered.bundle_uri,
       newest.snapshot_digest, newest.split_digest, registered.partition, registered.estimator, newest.metric,
       newest.metric_value, newest.evidence, newest.decision_id, newest.learnt_until, newest.known_until,
       newest.spec_digest, newest.code_version, newest.lock_digest, registered.mlflow_run_id, newest.run_id,
       registered.registered_at, newest.requested_by, newest.judged_at
FROM tidemill.registration registered
JOIN LATERAL (SELECT * FROM tidemill.judgement j WHERE j.release_id = registered.release_id
              ORDER BY j.decision_id DESC LIMIT 1) newest ON true;
COMMENT ON VIEW tidemill.release IS 'Bundles with their newest evaluation and the gate''s decision about it.';

CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF release_id, model, bundle_digest, bundle_uri, partition,
    estimator, registered_at ON tidemill.registration
    FOR EACH STATEMENT EXECUTE FUNCTION tidemill.refuse_change();  -- all but where MLflow shows it
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tidemill.judgement
    FOR EACH STATEMENT EXECUTE FUNCTION tidemill.refuse_change();

GRANT SELECT ON tidemill.judgement, tidemill.release TO tidemill_writer, tidemill_promoter, tidemill_reader;
GRANT INSERT ON tidemill.judgement TO tidemill_promoter;
