-- name: lost_runs
-- Runs that are marked as running, but whose process is dead or frozen. A session is alive while the server executes for it;
-- otherwise its last statement counts. Waiting for the client is not execution.
SELECT r.run_id, r.model, r.step, r.partition, r.process, r.peak_rss_bytes, r.memory_limit_bytes, s.last_sign
FROM tidemill.run r
LEFT JOIN (
    SELECT split_part(application_name, ' ', 2) AS process,
           max(CASE WHEN state = 'active' AND wait_event_type IS DISTINCT FROM 'Client' THEN clock_timestamp()
                    ELSE state_change END) AS last_sign
    FROM pg_catalog.pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND application_name LIKE 'tidemill%% %%'
    GROUP BY 1
) s ON s.process = r.process
WHERE r.status = 'running' AND (%(model)s::text IS NULL OR r.model = %(model)s)
  AND CASE WHEN s.last_sign IS NULL THEN r.peak_rss_bytes IS NOT NULL OR r.started_at < clock_timestamp() - %(grace)s::interval
           ELSE s.last_sign < clock_timestamp() - %(frozen_after)s::interval END
ORDER BY r.run_id;

-- name: end_sessions
-- End the sessions of some processes. They are found first and ended afterwards: in one WHERE, the planner evaluates cheap
-- conditions first, and would end everybody's sessions.
WITH found AS MATERIALIZED (
    SELECT pid, split_part(application_name, ' ', 2) AS process, usename AS role, left(query, 200) AS query,
           state_change AS silent_since
    FROM pg_catalog.pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
      AND application_name LIKE 'tidemill%% %%' AND split_part(application_name, ' ', 2) = ANY(%(processes)s)
)
SELECT process, role, query, silent_since FROM (SELECT *, pg_terminate_backend(pid) AS ended FROM found OFFSET 0) f
WHERE ended;

-- name: close_lost_run
-- Mark a lost run as failed, unless it has ended by itself.
UPDATE tidemill.run
SET status = 'failed', ended_at = clock_timestamp(), error = %(error)s
WHERE run_id = %(run_id)s AND status = 'running'
RETURNING 1;

-- name: note_memory
-- Record the peak and the limit of a running step's memory.
UPDATE tidemill.run
SET peak_rss_bytes = %(peak_rss_bytes)s, memory_limit_bytes = %(memory_limit_bytes)s
WHERE run_id = %(run_id)s AND status = 'running';

-- name: sign_of_life
-- Show the server that the process is alive.
SELECT 1;
