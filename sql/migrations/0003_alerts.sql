-- Alerts that persist, know their owner, and are told: what was found, what has happened, what waits to be sent.

-- ---------------------------------------------------------------- what was found

CREATE TABLE tidemill.examination (
    examination_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model          text NOT NULL,
    partition      text NOT NULL,
    parts          text[] NOT NULL,
    findings       jsonb NOT NULL,
    run_id         bigint NOT NULL REFERENCES tidemill.run,
    examined_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX examination_by_partition ON tidemill.examination (model, partition DESC, examination_id DESC);
COMMENT ON TABLE tidemill.examination IS
    'Rules that a partition''s figures crossed, worth an alert or not; the newest row of a partition counts.';
COMMENT ON COLUMN tidemill.examination.parts IS 'Parts of monitoring that looked; rules of others were not asked.';

-- ---------------------------------------------------------------- what is open

ALTER TABLE tidemill.alert
    ADD COLUMN owner text NOT NULL DEFAULT '',
    ADD COLUMN told jsonb,
    ADD COLUMN told_partition text,
    ADD COLUMN acknowledged_by text,
    ADD COLUMN acknowledged_at timestamptz;
UPDATE tidemill.alert SET told_partition = last_partition,
    told = jsonb_build_object('rule', rule, 'severity', severity, 'message', message,
        'value', CASE WHEN value = 'NaN' OR abs(value) = 'Infinity' THEN to_jsonb(value::text) ELSE to_jsonb(value) END,
        'threshold', CASE WHEN threshold = 'NaN' OR abs(threshold) = 'Infinity'
                          THEN to_jsonb(threshold::text) ELSE to_jsonb(threshold) END);
ALTER TABLE tidemill.alert ALTER COLUMN told SET NOT NULL, ALTER COLUMN told_partition SET NOT NULL;
COMMENT ON COLUMN tidemill.alert.owner IS 'Who answers for it.';
COMMENT ON COLUMN tidemill.alert.first_partition IS 'Since when: the first partition in which it was found.';
COMMENT ON COLUMN tidemill.alert.told IS 'The alert as its channels were last told; what has doubled since is told again.';
COMMENT ON COLUMN tidemill.alert.acknowledged_by IS 'Who has said that they know; reminders stop.';

CREATE TABLE tidemill.alert_event (
    event_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id    bigint NOT NULL REFERENCES tidemill.alert,
    event       text NOT NULL CHECK (event IN ('opened', 'worsened', 'reminded', 'resolved')),
    partition   text NOT NULL,
    severity    text NOT NULL CHECK (severity IN ('fail', 'warn')),
    message     text NOT NULL,
    value       double precision NOT NULL,
    threshold   double precision NOT NULL,
    first_partition text NOT NULL,
    run_id      bigint NOT NULL REFERENCES tidemill.run,
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (alert_id, event, partition)
);
COMMENT ON TABLE tidemill.alert_event IS 'What happened to an alert and was worth telling; append-only.';

-- ---------------------------------------------------------------- what waits to be sent

CREATE TABLE tidemill.alert_message (
    message_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key           text NOT NULL UNIQUE,
    model         text NOT NULL,
    partition     text NOT NULL,
    channel       text NOT NULL,
    event_ids     bigint[] NOT NULL CHECK (cardinality(event_ids) > 0),
    state         text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent')),
    attempts      integer NOT NULL DEFAULT 0,
    next_try      timestamptz NOT NULL,
    claimed_until timestamptz,
    error         text,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at       timestamptz
);
CREATE INDEX alert_message_waiting ON tidemill.alert_message (channel, message_id) WHERE state = 'waiting';
COMMENT ON TABLE tidemill.alert_message IS
    'The outbox: what one channel is told about a partition''s alerts, all in one message; sent at least once.';
COMMENT ON COLUMN tidemill.alert_message.key IS
    'Idempotency key: the same in every attempt, and part of a mail''s Message-ID, so that a second copy is recognisable.';
COMMENT ON COLUMN tidemill.alert_message.claimed_until IS
    'Until then another sender leaves it alone; a sender that died lets go by this.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tidemill.alert_event
    FOR EACH STATEMENT EXECUTE FUNCTION tidemill.refuse_change();

-- ---------------------------------------------------------------- who may do what

GRANT SELECT ON tidemill.examination, tidemill.alert_event, tidemill.alert_message
    TO tidemill_writer, tidemill_promoter, tidemill_reader;
GRANT INSERT ON tidemill.examination, tidemill.alert_event, tidemill.alert_message TO tidemill_writer;
GRANT UPDATE ON tidemill.alert_message TO tidemill_writer;

-- ---------------------------------------------------------------- freshness is a part of monitoring

ALTER TABLE tidemill.metric DROP CONSTRAINT metric_part_check,
    ADD CONSTRAINT metric_part_check CHECK (part IN ('drift', 'performance', 'compute', 'freshness'));
