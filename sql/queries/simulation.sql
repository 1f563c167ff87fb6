-- name: trainings_of_model
-- The trainings of a replay, each with its verdict, first reason, and whether its release was promoted.
SELECT r.partition, d.verdict, d.reasons[1] AS reason,
    EXISTS (SELECT FROM tidemill.deployment p WHERE p.release_id = r.release_id) AS promoted
FROM tidemill.release r
JOIN tidemill.decision d USING (decision_id)
WHERE r.model = %(model)s
ORDER BY r.release_id;

-- name: alerts_of_model
-- All alerts of a replay, oldest first.
SELECT rule, severity, first_partition, last_partition, message
FROM tidemill.alert
WHERE model = %(model)s
ORDER BY alert_id;
