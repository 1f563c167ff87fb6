-- Reproduction: what the digests in other tables stand for, and what came of building a release again.

CREATE TABLE tidemill.document (
    digest      text PRIMARY KEY CHECK (digest = encode(sha256(content), 'hex')),
    kind        text NOT NULL CHECK (kind IN ('spec', 'queries', 'packages')),
    content     bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tidemill.document IS
    'What spec_digest, query_digest and lock_digest elsewhere stand for, word by word; append-only.';
COMMENT ON COLUMN tidemill.document.content IS
    'UTF-8. spec: JSON with every default; queries: features, then labels, a zero byte between; packages: name==version, one a line.';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tidemill.document
    FOR EACH STATEMENT EXECUTE FUNCTION tidemill.refuse_change();

CREATE TABLE tidemill.reproduction (
    reproduction_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model             text NOT NULL,
    release_id        bigint NOT NULL,
    prediction_run_id bigint REFERENCES tidemill.prediction_run,
    verdict           text NOT NULL CHECK (verdict IN ('bit_equal', 'within_tolerance', 'different')),
    steps             jsonb NOT NULL,
    changes           text[] NOT NULL,
    as_declared       boolean NOT NULL,
    code_version      text NOT NULL,
    lock_digest       text NOT NULL,
    run_id            bigint NOT NULL REFERENCES tidemill.run,
    reproduced_at     timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (model, release_id) REFERENCES tidemill.release (model, release_id)
);
CREATE INDEX reproduction_by_release ON tidemill.reproduction (model, release_id, reproduction_id DESC);
COMMENT ON TABLE tidemill.reproduction IS 'A release, or one of its prediction runs, built again and compared; append-only.';
COMMENT ON COLUMN tidemill.reproduction.steps IS 'One object a step: step, verdict, found.';
COMMENT ON COLUMN tidemill.reproduction.changes IS 'What is not as it was: spec, queries, code, packages, machine.';
COMMENT ON COLUMN tidemill.reproduction.as_declared IS
    'Built with the spec and queries of that day, and not with those that the release was made with.';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tidemill.reproduction
    FOR EACH STATEMENT EXECUTE FUNCTION tidemill.refuse_change();

ALTER TABLE tidemill.run DROP CONSTRAINT run_chain_check,
    ADD CONSTRAINT run_chain_check CHECK (chain IN ('train', 'predict', 'monitor', 'retrain', 'reproduce'));

GRANT SELECT ON tidemill.document, tidemill.reproduction TO tidemill_writer, tidemill_promoter, tidemill_reader;
GRANT INSERT ON tidemill.document, tidemill.reproduction TO tidemill_writer;
