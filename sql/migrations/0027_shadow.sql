-- A release scores beside the champion, into runs that no view shows: a challenger before it serves, and the former
-- champion after it has been replaced.

CREATE TABLE tidemill.shadow (
    shadow_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model       text NOT NULL,
    release_id  bigint NOT NULL,
    against     bigint NOT NULL,
    role        text NOT NULL CHECK (role IN ('challenger', 'predecessor')),
    decision_id bigint REFERENCES tidemill.decision,
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL CHECK (ends_at > starts_at),
    margin      double precision NOT NULL CHECK (margin >= 0),
    state       text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'won', 'lost', 'void')),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    CHECK (release_id <> against),
    CHECK ((role = 'challenger') = (decision_id IS NOT NULL)),
    CHECK ((state = 'running') = (ended_at IS NULL)),
    FOREIGN KEY (model, release_id) REFERENCES tidemill.registration (model, release_id),
    FOREIGN KEY (model, against) REFERENCES tidemill.registration (model, release_id)
);
CREATE UNIQUE INDEX one_shadow_at_a_time ON tidemill.shadow (model) WHERE state = 'running';
CREATE UNIQUE INDEX shadow_of_judgement ON tidemill.shadow (release_id, decision_id);
CREATE UNIQUE INDEX shadow_of_deployment ON tidemill.shadow (release_id, against, starts_at);
COMMENT ON TABLE tidemill.shadow IS 'Releases that score beside the champion, into runs that no view shows.';
COMMENT ON COLUMN tidemill.shadow.against IS 'Champion that the release is compared with.';
COMMENT ON COLUMN tidemill.shadow.role IS
    'challenger: it may become the champion; predecessor: it was the champion, and may become it again.';
COMMENT ON COLUMN tidemill.shadow.starts_at IS 'First cutoff of the partitions that it scores; ends_at is the first after them.';
COMMENT ON COLUMN tidemill.shadow.margin IS 'Loss of the acceptance metric that is tolerated.';
COMMENT ON COLUMN tidemill.shadow.state IS
    'won: it has replaced the champion; lost: it has not; void: another release has become the champion, or it was judged again.';

ALTER TABLE tidemill.metric DROP CONSTRAINT metric_part_check,
    ADD CONSTRAINT metric_part_check CHECK (
        part IN ('drift', 'performance', 'compute', 'freshness', 'estimate', 'skew', 'labels', 'shadow'));
ALTER TABLE tidemill.decision DROP CONSTRAINT decision_kind_check,
    ADD CONSTRAINT decision_kind_check CHECK (
        kind IN ('accept', 'approve', 'retrain', 'inspect', 'publish', 'shadow'));
COMMENT ON COLUMN tidemill.decision.kind IS
    'accept: the gate on a model; approve: a person on what the gate accepted; retrain: whether training is due; '
    'inspect: a run is withheld; publish: a person, or the declared fallback, on a withheld run; '
    'shadow: whether a release in the shadow replaces the champion.';

-- As before, and a release that the gate has not rejected may also be promoted because it has won in the shadow.
CREATE OR REPLACE FUNCTION tidemill.deploy(
    model text, release_id bigint, previous bigint, kind text, live_from timestamptz, approved_by text, reason text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deployed bigint;
    champion bigint;
BEGIN
    IF tidemill.lock_champion(model) IS DISTINCT FROM previous THEN
        RETURN NULL;
    END IF;
    IF kind = 'promote' AND NOT EXISTS (
        SELECT FROM tidemill.release r JOIN tidemill.decision d USING (decision_id)
        WHERE r.model = deploy.model AND r.release_id = deploy.release_id
          AND d.kind = 'accept' AND (d.model, d.partition) = (r.model, r.partition)
          AND (d.verdict = 'accept' OR d.verdict = 'not_enough_evidence' AND EXISTS (
              SELECT FROM tidemill.decision said JOIN tidemill.shadow s
                  ON said.evidence #>> '{shadow,shadow_id}' = s.shadow_id::text
              WHERE said.model = r.model AND said.kind = 'shadow' AND said.verdict = 'accept'
                AND (s.release_id, s.decision_id, s.role) = (r.release_id, d.decision_id, 'challenger')))
          -- the bundle that the gate judged: of a training here, or of an archive
          AND r.bundle_digest = coalesce(d.evidence #>> '{bundle,digest}', d.evidence #>> '{origin,evaluation,bundle,digest}',
                                         r.bundle_digest))
    THEN
        RAISE EXCEPTION 'the gate has not accepted release % of model %', release_id, model
            USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO tidemill.deployment (model, release_id, previous_release_id, kind, live_from, approved_by, reason)
    VALUES (deploy.model, deploy.release_id, deploy.previous, deploy.kind, deploy.live_from, deploy.approved_by, deploy.reason)
    RETURNING deployment_id INTO deployed;
    INSERT INTO tidemill.champion AS c (model, release_id, deployment_id)
    SELECT l.model, l.release_id, l.deployment_id FROM tidemill.live l WHERE l.model = deploy.model
    ORDER BY l.live_from DESC, l.deployment_id DESC LIMIT 1
    ON CONFLICT ON CONSTRAINT champion_pkey
    DO UPDATE SET release_id = excluded.release_id, deployment_id = excluded.deployment_id
    RETURNING c.release_id INTO champion;
    PERFORM tidemill.append_event(kind, model, jsonb_build_object(
        'release_id', release_id, 'previous', previous, 'by', approved_by, 'reason', reason,
        'deployment_id', deployed, 'live_from', live_from));
    RETURN champion;
END $$;

CREATE FUNCTION tidemill.start_shadow(
    model text, release_id bigint, against bigint, role text, decision_id bigint, starts_at timestamptz,
    ends_at timestamptz, margin double precision)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    started bigint;
BEGIN
    IF tidemill.lock_champion(model) IS DISTINCT FROM against THEN
        RETURN NULL;
    END IF;
    PERFORM tidemill.end_shadow(s.shadow_id, CASE WHEN s.release_id = start_shadow.against THEN 'won' ELSE 'void' END)
    FROM tidemill.shadow s
    WHERE s.model = start_shadow.model AND s.state = 'running'
      AND (s.against <> start_shadow.against OR s.ends_at <= start_shadow.starts_at);
    INSERT INTO tidemill.shadow (model, release_id, against, role, decision_id, starts_at, ends_at, margin)
    VALUES (start_shadow.model, start_shadow.release_id, start_shadow.against, start_shadow.role, start_shadow.decision_id,
            start_shadow.starts_at, start_shadow.ends_at, start_shadow.margin)
    ON CONFLICT DO NOTHING RETURNING shadow_id INTO started;
    IF started IS NOT NULL THEN
        PERFORM tidemill.append_event('start_shadow', model, jsonb_build_object(
            'shadow_id', started, 'release_id', release_id, 'against', against, 'role', role, 'starts_at', starts_at,
            'ends_at', ends_at, 'margin', margin));
    END IF;
    RETURN started;
END $$;
COMMENT ON FUNCTION tidemill.start_shadow IS
    'Let a release score in the shadow; NULL if another one does, or has for this judgement, or the champion is another.';

CREATE FUNCTION tidemill.end_shadow(shadow_id bigint, state text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended tidemill.shadow;
BEGIN
    UPDATE tidemill.shadow s SET state = end_shadow.state, ended_at = clock_timestamp()
    WHERE s.shadow_id = end_shadow.shadow_id AND s.state = 'running' RETURNING s.* INTO ended;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM tidemill.append_event('end_shadow', ended.model, jsonb_build_object(
        'shadow_id', ended.shadow_id, 'release_id', ended.release_id, 'against', ended.against, 'role', ended.role,
        'state', ended.state));
    RETURN true;
END $$;

GRANT SELECT ON tidemill.shadow TO tidemill_writer, tidemill_promoter, tidemill_reader;
REVOKE ALL ON FUNCTION tidemill.start_shadow, tidemill.end_shadow FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidemill.start_shadow, tidemill.end_shadow TO tidemill_promoter;
