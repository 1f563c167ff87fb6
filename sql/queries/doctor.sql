-- name: table_exists
-- Whether a table exists.
SELECT to_regclass(%(table)s) IS NOT NULL;

-- name: serving_bundles
-- The champion's release and the one that a rollback goes back to, newest first.
SELECT r.release_id, r.bundle_uri, r.bundle_digest, r.evidence ->> 'uri' FROM tidemill.release r
WHERE r.release_id IN (SELECT release_id FROM tidemill.champion WHERE model = %(model)s
                       UNION SELECT d.previous_release_id FROM tidemill.deployment d
                       JOIN tidemill.champion c ON c.model = d.model AND c.release_id = d.release_id
                       WHERE d.model = %(model)s AND d.kind <> 'rollback')
ORDER BY 1 DESC;

-- name: published_snapshots
-- The snapshot of every published partition, newest partition first.
SELECT p.partition, s.uri FROM tidemill.published p JOIN tidemill.prediction_run r USING (prediction_run_id)
JOIN tidemill.snapshot s ON (s.model, s.digest) = (r.model, r.snapshot_digest)
WHERE p.model = %(model)s ORDER BY p.partition DESC;

-- name: published_runs
-- The newest published runs as the audit has them: number of rows, checksum and threshold, and whether the view shows them.
WITH audited AS MATERIALIZED (
    SELECT DISTINCT ON (details ->> 'partition') details ->> 'partition' AS partition, details
    FROM tidemill.audit
    WHERE model = %(model)s AND event = 'publish'
    ORDER BY details ->> 'partition', audit_id DESC
)
SELECT p.partition, p.prediction_run_id, (a.details ->> 'n_rows')::bigint AS n_rows, a.details ->> 'checksum' AS checksum,
    (a.details ->> 'threshold')::double precision AS threshold, a.details ->> 'task' = m.task AS shown
FROM tidemill.published p
JOIN tidemill.model m USING (model)
JOIN audited a ON a.partition = p.partition AND a.details ->> 'prediction_run_id' = p.prediction_run_id::text
WHERE p.model = %(model)s ORDER BY p.partition DESC LIMIT %(limit)s;

-- name: ledger_exists
-- Whether the warehouse has been migrated.
SELECT to_regclass('tidemill.audit') IS NOT NULL;

-- name: published_partitions
-- Every published partition of a model, and whether it is empty.
SELECT partition, empty
FROM tidemill.published_partition
WHERE model = %(model)s AND published_at IS NOT NULL;

-- name: has_champion
-- Whether a model has a champion.
SELECT EXISTS (SELECT FROM tidemill.champion WHERE model = %(model)s);

-- name: role_may
-- The current role, and whether it has a right on a table of the ledger.
SELECT current_user, has_schema_privilege('tidemill', 'USAGE') AND has_table_privilege(%(table)s, %(right)s);

-- name: who_is_connected
-- The current role and database, for a message.
SELECT current_user::text || ' of ' || current_database();

-- name: may_read_migrations
-- Whether the current role may read which migrations are applied.
SELECT has_table_privilege(to_regclass('public.tidemill_migration'), 'SELECT');

-- name: applied_migrations
-- Name and digest of every applied migration.
SELECT name, digest
FROM public.tidemill_migration;

-- name: wrong_pointers
-- Visible runs that are not 'published', and 'published' runs that are not visible.
SELECT coalesce(p.partition, r.partition), p.prediction_run_id, r.status
FROM tidemill.published p
FULL JOIN (SELECT * FROM tidemill.prediction_run WHERE status = 'published') r USING (prediction_run_id)
WHERE coalesce(p.model, r.model) = %(model)s AND (p.prediction_run_id IS NULL OR r.status IS NULL)
ORDER BY 1;

-- name: overdue_messages
-- Messages about alerts that have waited too long, by channel, with the newest error.
SELECT channel, count(*), (array_agg(error ORDER BY message_id DESC))[1]
FROM tidemill.alert_message
WHERE state = 'waiting' AND created_at < now() - make_interval(hours => %(hours)s)
GROUP BY 1
ORDER BY 1;

-- name: decisions_without_audit
-- Decisions that the audit lacks with this kind and verdict, although one transaction writes both.
SELECT decision_id FROM tidemill.decision d
WHERE NOT EXISTS (
    SELECT FROM tidemill.audit a
    WHERE a.event = 'decide:' || d.kind AND a.details ->> 'decision_id' = d.decision_id::text
      AND a.details ->> 'verdict' = d.verdict)
ORDER BY 1;

-- name: answers_without_question
-- Decisions recorded as a person's answer in a task, without an earlier question of that DAG run in the audit.
SELECT d.decision_id, d.kind, a.details ->> 'by'
FROM tidemill.decision d
JOIN tidemill.audit a ON a.event = 'decide:' || d.kind AND a.details ->> 'decision_id' = d.decision_id::text
LEFT JOIN tidemill.run r USING (run_id)
WHERE a.details ? 'by' AND (d.kind <> 'publish' OR d.run_id IS NOT NULL)  -- 'tidemill publish' is no task
  AND NOT EXISTS (
      SELECT FROM tidemill.audit q
      WHERE q.event = 'ask' AND q.model = d.model AND q.audit_id < a.audit_id
        AND (q.details ->> 'dag_id', q.details ->> 'dag_run_id') = (r.dag_id, r.dag_run_id))
ORDER BY 1;

-- name: wrong_claims
-- Claims whose token is older than one that their partition has used, or that no sequence has given out.
SELECT c.partition, c.token, newest.token, given.last_value
FROM tidemill.claim c
CROSS JOIN tidemill.claim_token given
CROSS JOIN LATERAL (SELECT max(r.token) AS token FROM tidemill.prediction_run r
                    WHERE (r.model, r.partition) = (c.model, c.partition)) newest
WHERE c.model = %(model)s AND (c.token < newest.token OR c.token > given.last_value)
ORDER BY 1;

-- name: snapshots_unlike_their_step
-- Snapshots whose row differs from what the step that took them recorded.
SELECT s.partition, s.digest, r.run_id
FROM tidemill.snapshot s
JOIN tidemill.run r USING (run_id)
WHERE s.model = %(model)s AND r.step = 'extract' AND r.result IS NOT NULL
  AND (s.model, s.digest, s.purpose, s.partition, s.start_at, s.end_at, s.cutoff, s.query_digest, s.uri, s.n_rows,
       s.n_set_aside, s.size_bytes)
      IS DISTINCT FROM
      (r.result ->> 'model', r.result ->> 'digest', r.result ->> 'purpose', r.result ->> 'partition',
       (r.result ->> 'start')::timestamptz, (r.result ->> 'end')::timestamptz, (r.result ->> 'cutoff')::timestamptz,
       r.result ->> 'query_digest', r.result ->> 'uri', (r.result ->> 'n_rows')::bigint,
       coalesce(r.result ->> 'n_set_aside', '0')::bigint, (r.result ->> 'size_bytes')::bigint)
ORDER BY 1, 2;

-- name: audited_publications
-- The audit's newest publication of each partition, and what now determines what readers see of it.
WITH audited AS (
    SELECT DISTINCT ON (details ->> 'partition') details ->> 'partition' AS partition, details
    FROM tidemill.audit
    WHERE model = %(model)s AND event = 'publish'
      AND audit_id > coalesce((SELECT max(audit_id) FROM tidemill.audit WHERE model = %(model)s AND event = 'remove'), 0)
    ORDER BY details ->> 'partition', audit_id DESC
), visible AS (
    SELECT p.partition, tidemill.publication(r, NULL) AS details
    FROM tidemill.published p
    JOIN tidemill.prediction_run r USING (prediction_run_id)
    WHERE p.model = %(model)s
)
SELECT partition, audited.details, visible.details
FROM audited
FULL JOIN visible USING (partition)
ORDER BY partition;

-- name: publications_unlike_releases
-- Visible runs whose release is another model's, or was judged with another threshold; older evidence has no threshold.
SELECT p.partition, r.prediction_run_id, r.release_id, judged.model, r.threshold, judged.threshold
FROM tidemill.published p
JOIN tidemill.prediction_run r USING (prediction_run_id)
JOIN (SELECT g.release_id, g.model, (j.evidence ->> 'threshold')::double precision AS threshold
      FROM tidemill.registration g LEFT JOIN tidemill.release j USING (release_id)) judged USING (release_id)
WHERE p.model = %(model)s AND (judged.model <> r.model OR judged.threshold <> r.threshold)
ORDER BY p.partition;

-- name: audited_declaration
-- The audit's newest declaration of a model, and what now determines what its view shows.
SELECT (SELECT a.details FROM tidemill.audit a
        WHERE a.model = m.model AND a.event = 'declare' ORDER BY a.audit_id DESC LIMIT 1), tidemill.declaration(m)
FROM tidemill.model m
WHERE m.model = %(model)s;

-- name: declaration
-- The declared names of a model's key and time, and its task.
SELECT entity_key, event_time, task
FROM tidemill.model
WHERE model = %(model)s;

-- name: deployments_without_audit
-- Deployments that differ from the audit or are missing there, although one transaction writes both.
SELECT d.deployment_id, d.kind, d.release_id
FROM tidemill.deployment d
WHERE d.model = %(model)s AND NOT EXISTS (
    SELECT FROM tidemill.audit a
    WHERE a.model = d.model AND a.event = d.kind AND a.details ->> 'release_id' = d.release_id::text
      AND a.details ->> 'previous' IS NOT DISTINCT FROM d.previous_release_id::text
      AND a.details ->> 'by' = d.approved_by AND a.details ->> 'reason' = d.reason
      AND coalesce(a.details ->> 'deployment_id', d.deployment_id::text) = d.deployment_id::text
      AND coalesce((a.details ->> 'live_from')::timestamptz, d.live_from) = d.live_from)
ORDER BY 1;

-- name: audited_deployments_gone
-- Deployments that only the audit has.
SELECT a.details ->> 'deployment_id', a.event, a.details ->> 'release_id'
FROM tidemill.audit a
WHERE a.model = %(model)s AND a.event IN ('promote', 'force', 'rollback') AND a.details ? 'deployment_id'
  AND a.audit_id > coalesce((SELECT max(audit_id) FROM tidemill.audit WHERE model = %(model)s AND event = 'remove'), 0)
  AND NOT EXISTS (SELECT FROM tidemill.deployment d WHERE d.deployment_id::text = a.details ->> 'deployment_id')
ORDER BY a.audit_id;

-- name: wrong_champion
-- The champion, if it is not the release that serves the newest partitions.
SELECT c.release_id, newest.release_id
FROM tidemill.champion c
LEFT JOIN LATERAL (SELECT l.release_id, l.deployment_id FROM tidemill.live l WHERE l.model = c.model
                   ORDER BY l.live_from DESC, l.deployment_id DESC LIMIT 1) newest ON true
WHERE c.model = %(model)s AND (c.release_id, c.deployment_id) IS DISTINCT FROM (newest.release_id, newest.deployment_id);

-- name: role_powers
-- What the roles of the ledger may do beyond their grants.
SELECT rolname, rolsuper, rolcreatedb, rolreplication, rolbypassrls, rolcreaterole
FROM pg_catalog.pg_roles
WHERE rolname = ANY(%(roles)s);

-- name: role_memberships
-- Memberships of the run-time roles, which need none.
SELECT m.rolname, g.rolname
FROM pg_catalog.pg_auth_members
JOIN pg_catalog.pg_roles m ON m.oid = member
JOIN pg_catalog.pg_roles g ON g.oid = roleid
WHERE m.rolname = ANY(%(roles)s);

-- name: lock_holders
-- Other sessions that hold a lock on a table of the ledger.
SELECT DISTINCT a.pid, a.usename, a.application_name
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class c ON c.oid = l.relation
JOIN pg_catalog.pg_stat_activity a USING (pid)
WHERE l.granted AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND (c.relnamespace::regnamespace::text IN ('tidemill', 'predictions') OR c.relname = 'tidemill_migration')
  AND l.pid <> pg_backend_pid()
ORDER BY 1;

-- name: table_rights
-- Rights to change tables and views of the ledger. Open prediction runs are the writer's to fill: their number changes,
-- and sealing revokes the right, so they are no finding.
SELECT role, relname, kind FROM unnest(%(roles)s::text[]) role, unnest(ARRAY['INSERT', 'DELETE', 'TRUNCATE']) kind,
    pg_catalog.pg_class c
WHERE relnamespace IN ('tidemill'::regnamespace, 'predictions'::regnamespace) AND relkind IN ('r', 'p', 'v')
  AND CASE WHEN kind = 'INSERT' THEN has_any_column_privilege(role, c.oid, kind)
           ELSE has_table_privilege(role, c.oid, kind) END
  AND NOT (role = 'tidemill_writer' AND kind = 'INSERT' AND NOT relispartition AND relname ~ '^prediction_run_\d+$')
ORDER BY relname, role, kind;

-- name: column_rights
-- Columns of tables and views of the ledger that a role may update.
SELECT role, relname, array_agg(attname::text ORDER BY attnum)
FROM unnest(%(roles)s::text[]) role, pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON attrelid = c.oid
WHERE relnamespace IN ('tidemill'::regnamespace, 'predictions'::regnamespace) AND relkind IN ('r', 'p', 'v')
  AND has_any_column_privilege(role, c.oid, 'UPDATE') AND attnum > 0 AND NOT attisdropped
  AND has_column_privilege(role, c.oid, attnum, 'UPDATE')
GROUP BY relname, role
ORDER BY relname, role;

-- name: owned_tables
-- Tables that a run-time role owns; it should own none.
SELECT rolname, nspname || '.' || relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_roles r ON r.oid = relowner
JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
WHERE rolname = ANY(%(roles)s) AND nspname NOT LIKE 'pg\_%%' ORDER BY 2;

-- name: function_rights
-- Functions with the owner's rights that a role may call.
SELECT role, proname FROM unnest(%(roles)s::text[]) role, pg_catalog.pg_proc p
WHERE prosecdef AND pronamespace = 'tidemill'::regnamespace AND has_function_privilege(role, p.oid, 'EXECUTE')
ORDER BY proname, role;

-- name: functions_without_search_path
-- Functions with the owner's rights whose search path is not fixed, or does not name temporary types last.
SELECT proname
FROM pg_catalog.pg_proc
WHERE prosecdef AND pronamespace = 'tidemill'::regnamespace
    AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp'];

-- name: creation_rights
-- Schemas in which a role may create objects.
SELECT role, nspname
FROM unnest(%(roles)s::text[]) role, pg_catalog.pg_namespace
WHERE nspname IN ('tidemill', 'predictions', 'public') AND has_schema_privilege(role, oid, 'CREATE');

-- name: append_only_tables
-- Tables whose append-only trigger exists and is enabled.
SELECT relname
FROM pg_catalog.pg_trigger
JOIN pg_catalog.pg_class c ON c.oid = tgrelid
WHERE tgname = 'append_only' AND tgenabled IN ('O', 'A') AND relnamespace = 'tidemill'::regnamespace
    AND tgfoid = 'tidemill.refuse_change'::regproc;

-- name: audit_rows
-- A batch of the audit, oldest first: number, predecessor's hash, own hash, and what the hash covers.
SELECT audit_id, previous_hash, hash,
    jsonb_build_array(previous_hash, event, model, details, done_by, extract(epoch FROM done_at))::text
FROM tidemill.audit
WHERE audit_id > %(after)s
ORDER BY audit_id LIMIT %(limit)s;

-- name: newest_reproductions
-- The newest attempt to build each release again.
SELECT DISTINCT ON (release_id) release_id, steps FROM tidemill.reproduction
WHERE model = %(model)s AND NOT as_declared ORDER BY release_id, reproduction_id DESC;
