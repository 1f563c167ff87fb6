-- name: events
-- The events of a message, what needs action first.
SELECT e.event_id, e.alert_id, e.event, e.partition, a.rule, e.severity, e.message, e.value, e.threshold,
    e.first_partition, a.owner
FROM tidemill.alert_event e
JOIN tidemill.alert a USING (alert_id)
WHERE e.event_id = ANY (%(event_ids)s)
ORDER BY e.severity, e.event_id;

-- name: root_messages
-- The messages by which a channel first heard of some alerts, oldest first.
SELECT DISTINCT first.message_id, first.key, first.event_ids
FROM unnest(%(alert_ids)s::bigint[]) alert (alert_id)
CROSS JOIN LATERAL (
    SELECT m.message_id, m.key, m.event_ids
    FROM tidemill.alert_message m
    JOIN tidemill.alert_event e ON e.event_id = ANY (m.event_ids)
    WHERE m.channel = %(channel)s AND e.alert_id = alert.alert_id
    ORDER BY m.message_id LIMIT 1
) first
WHERE first.message_id < %(message_id)s
ORDER BY 1;

-- name: claim_message
-- Claim the oldest message that is due.
UPDATE tidemill.alert_message
SET attempts = attempts + 1, claimed_until = %(now)s::timestamptz + %(lease)s
WHERE message_id = (
    SELECT message_id
    FROM tidemill.alert_message
    WHERE state = 'waiting' AND next_try <= %(now)s AND coalesce(claimed_until, '-infinity') <= %(now)s
      AND (%(model)s::text IS NULL OR model = %(model)s) AND channel <> ALL (%(without)s::text[])
      AND message_id > %(after)s
    ORDER BY message_id LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING message_id, key, model, partition, channel, attempts, created_at, event_ids;

-- name: mark_message_sent
-- Record that a message went out.
UPDATE tidemill.alert_message
SET state = 'sent', sent_at = %(now)s, claimed_until = NULL, error = NULL
WHERE message_id = %(message_id)s;

-- name: mark_message_failed
-- Record a failed attempt and when the next one is due.
UPDATE tidemill.alert_message
SET next_try = %(next_try)s, claimed_until = NULL, error = %(error)s
WHERE message_id = %(message_id)s AND state = 'waiting';

-- name: postpone_messages
-- Postpone everything that waits for a channel and is not claimed.
UPDATE tidemill.alert_message
SET next_try = %(until)s
WHERE channel = %(channel)s AND state = 'waiting' AND claimed_until IS NULL;

-- name: count_waiting_messages
-- How many messages have not gone out.
SELECT count(*)
FROM tidemill.alert_message
WHERE state = 'waiting' AND (%(model)s::text IS NULL OR model = %(model)s);

-- name: monitoring_page
-- Folder of the newest monitoring page of a partition.
SELECT (
    SELECT result ->> 'uri'
    FROM tidemill.run
    WHERE model = %(model)s AND partition = %(partition)s AND chain = 'monitor' AND step = 'report'
      AND status = 'succeeded'
    ORDER BY run_id DESC LIMIT 1
);

-- name: insert_examination
-- Record the findings of a partition.
INSERT INTO tidemill.examination (model, partition, parts, findings, run_id)
VALUES (%(model)s, %(partition)s, %(parts)s, %(findings)s, %(run_id)s);

-- name: newest_examinations
-- The newest partitions, newest first, each with the last examination by each step; a step lists its own part first.
SELECT partition, parts, findings
FROM (SELECT DISTINCT ON (partition, parts[1]) partition, parts, findings,
          dense_rank() OVER (ORDER BY partition DESC) AS place
      FROM tidemill.examination
      WHERE model = %(model)s
      ORDER BY partition DESC, parts[1], examination_id DESC) newest
WHERE place <= %(limit)s
ORDER BY tidemill.key_order(partition) DESC;

-- name: open_alerts
-- The open alerts of some models or of all, what needs action first.
SELECT a.alert_id, a.model, a.rule, a.severity, a.message, a.value, a.threshold, a.owner, a.first_partition, a.last_partition,
    a.told, a.told_partition, known.acknowledged_by, known.acknowledged_at,
    coalesce(known.acknowledged_reason, '') AS acknowledged_reason, known.acknowledged_until,
    run.dag_id, run.dag_run_id, run.task_id, run.map_index, run.try_number
FROM tidemill.alert a
JOIN tidemill.run USING (run_id)
LEFT JOIN LATERAL (SELECT a.acknowledged_by, a.acknowledged_at, a.acknowledged_reason, a.acknowledged_until
                   WHERE a.acknowledged_until IS NULL OR a.acknowledged_until > now()) known ON true
WHERE a.status = 'open' AND (%(models)s::text[] IS NULL OR a.model = ANY (%(models)s))
ORDER BY a.severity, a.model, a.rule;

-- name: insert_alert_event
-- Record an event of an alert.
INSERT INTO tidemill.alert_event (alert_id, event, partition, severity, message, value, threshold,
    first_partition, run_id)
VALUES (%(alert_id)s, %(event)s, %(partition)s, %(severity)s, %(message)s, %(value)s, %(threshold)s,
    %(first_partition)s, %(run_id)s)
RETURNING event_id;

-- name: channel_knows_alert
-- Whether a channel has received, or will receive, a message about an alert.
SELECT EXISTS (
    SELECT FROM tidemill.alert_message m
    JOIN tidemill.alert_event e ON e.event_id = ANY (m.event_ids)
    WHERE m.channel = %(channel)s AND e.alert_id = %(alert_id)s
);

-- name: insert_message
-- Add a message to the outbox.
INSERT INTO tidemill.alert_message (key, model, partition, channel, event_ids, next_try)
VALUES (%(key)s, %(model)s, %(partition)s, %(channel)s, %(event_ids)s, %(now)s);

-- name: release_waiting_messages
-- Make the waiting messages of a channel due now, before a newer one.
UPDATE tidemill.alert_message
SET next_try = %(now)s
WHERE channel = %(channel)s AND state = 'waiting' AND next_try > %(now)s;

-- name: open_alert
-- Open an alert.
INSERT INTO tidemill.alert (model, rule, severity, message, value, threshold, first_partition, last_partition,
    owner, told, told_partition, run_id)
VALUES (%(model)s, %(rule)s, %(severity)s, %(message)s, %(value)s, %(threshold)s, %(first_partition)s,
    %(last_partition)s, %(owner)s, %(told)s, %(told_partition)s, %(run_id)s)
RETURNING alert_id;

-- name: update_alert
-- Update the figures of an open alert.
UPDATE tidemill.alert
SET severity = %(severity)s, message = %(message)s, value = %(value)s, threshold = %(threshold)s,
    first_partition = %(first_partition)s, last_partition = %(last_partition)s,
    run_id = %(run_id)s, updated_at = now()
WHERE alert_id = %(alert_id)s;

-- name: resolve_alert
-- Resolve an alert.
UPDATE tidemill.alert
SET status = 'resolved', resolved_at = now()
WHERE alert_id = %(alert_id)s;

-- name: note_told
-- Record what has been reported about an alert, and with which partition.
UPDATE tidemill.alert
SET told = %(told)s, told_partition = %(told_partition)s
WHERE alert_id = %(alert_id)s;

-- name: lock_alerts
-- Lock the alerts until the transaction ends.
SELECT tidemill.lock_alerts();

-- name: acknowledge_alert
-- Record that somebody acknowledged an open alert, of any model or of one.
UPDATE tidemill.alert
SET acknowledged_by = %(by)s, acknowledged_at = %(now)s, acknowledged_reason = %(reason)s,
    acknowledged_until = %(until)s
WHERE alert_id = %(alert_id)s AND status = 'open' AND model = coalesce(%(model)s, model)
RETURNING model;

-- name: forget_acknowledgement
-- Let an alert that got worse count as new.
UPDATE tidemill.alert
SET acknowledged_by = NULL, acknowledged_at = NULL, acknowledged_reason = '',
    acknowledged_until = NULL
WHERE alert_id = %(alert_id)s AND acknowledged_by IS NOT NULL;
