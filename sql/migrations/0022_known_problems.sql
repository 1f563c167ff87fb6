-- Known problems: a person who acknowledges an alert says why nobody else has to act; what gets worse is new again.

ALTER TABLE tidemill.alert ADD COLUMN acknowledged_reason text NOT NULL DEFAULT '';
GRANT UPDATE (acknowledged_reason) ON tidemill.alert TO tidemill_writer;
COMMENT ON COLUMN tidemill.alert.acknowledged_reason IS 'Why nobody else has to act; empty in older records.';
COMMENT ON COLUMN tidemill.alert.acknowledged_by IS
    'Who has said that they know: reminders stop, and the console is calm until the alert gets worse, which clears it.';
