-- A person's word on a model is a decision of its own; a release knows who asked for it.

ALTER TABLE tidemill.decision DROP CONSTRAINT decision_kind_check,
    ADD CONSTRAINT decision_kind_check CHECK (kind IN ('accept', 'approve', 'retrain'));
COMMENT ON COLUMN tidemill.decision.kind IS
    'accept: the gate on a model; approve: a person on what the gate accepted; retrain: whether training is due.';

ALTER TABLE tidemill.release ADD COLUMN requested_by text NOT NULL DEFAULT '';
COMMENT ON COLUMN tidemill.release.requested_by IS 'Who asked for the training by hand; empty if the schedule did.';

DROP TRIGGER append_only ON tidemill.release;
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF release_id, model, bundle_digest, bundle_uri,
    snapshot_digest, split_digest, partition, estimator, metric, metric_value, evidence, decision_id, learnt_until,
    known_until, spec_digest, code_version, lock_digest, run_id, registered_at, requested_by ON tidemill.release
    FOR EACH STATEMENT EXECUTE FUNCTION tidemill.refuse_change();
