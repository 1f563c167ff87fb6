-- Signs of life: which process runs a step and how much memory it may have; and which attempts share one claim.

ALTER TABLE tidemill.run ADD COLUMN process text;
ALTER TABLE tidemill.run ADD COLUMN memory_limit_bytes bigint;
ALTER TABLE tidemill.run ADD CONSTRAINT time_goes_forward CHECK (wall_s >= 0 AND cpu_s >= 0);
CREATE INDEX run_still_running ON tidemill.run (model) WHERE status = 'running';
COMMENT ON COLUMN tidemill.run.process IS
    'Host, process id and a random word; the process''s sessions carry it in their application_name.';
COMMENT ON COLUMN tidemill.run.memory_limit_bytes IS
    'What the process may use at most: the limit of its control group, or the machine''s memory; in bytes.';
COMMENT ON COLUMN tidemill.run.peak_rss_bytes IS
    'Largest resident set of the process up to the step''s end, in bytes; up to now while the step runs.';

ALTER TABLE tidemill.claim ADD COLUMN origin bigint;
UPDATE tidemill.claim SET origin = token;
ALTER TABLE tidemill.claim ALTER COLUMN origin SET NOT NULL;
COMMENT ON COLUMN tidemill.claim.origin IS
    'Token that the chain took in its first step; each attempt to write takes a newer one, and keeps the origin.';
