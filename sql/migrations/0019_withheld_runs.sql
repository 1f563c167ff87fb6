-- Withheld runs: a sealed run that differs too much from its past waits for a person, and no reader sees its rows.

-- ---------------------------------------------------------------- states and transitions

ALTER TABLE tidemill.decision DROP CONSTRAINT decision_kind_check,
    ADD CONSTRAINT decision_kind_check CHECK (kind IN ('accept', 'approve', 'retrain', 'inspect', 'publish'));
COMMENT ON COLUMN tidemill.decision.kind IS
    'accept: the gate on a model; approve: a person on what the gate accepted; retrain: whether training is due; '
    'inspect: a run is withheld; publish: a person, or the declared fallback, on a withheld run.';

ALTER TABLE tidemill.prediction_run
    ADD COLUMN inspection_id bigint REFERENCES tidemill.decision,
    ADD COLUMN resolution_id bigint REFERENCES tidemill.decision,
    ADD COLUMN marked boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT prediction_run_status_check,
    ADD CONSTRAINT prediction_run_status_check CHECK (status IN
        ('writing', 'written', 'withheld', 'published', 'superseded', 'discarded', 'stale', 'collected')),
    ADD CONSTRAINT withheld_for_a_reason CHECK (status <> 'withheld' OR inspection_id IS NOT NULL),
    ADD CONSTRAINT withheld_until_resolved CHECK (inspection_id IS NULL OR resolution_id IS NOT NULL
                                                  OR status IN ('withheld', 'stale', 'collected')),
    ADD CONSTRAINT discarded_by_a_decision CHECK (status <> 'discarded' OR resolution_id IS NOT NULL),
    ADD CONSTRAINT resolved_after_inspection CHECK (resolution_id IS NULL OR inspection_id IS NOT NULL),
    ADD CONSTRAINT marked_if_withheld CHECK (NOT marked OR inspection_id IS NOT NULL);
CREATE UNIQUE INDEX withheld_once ON tidemill.prediction_run (model, partition) WHERE status = 'withheld';
COMMENT ON COLUMN tidemill.prediction_run.inspection_id IS 'Why the run was withheld; NULL if it never was.';
COMMENT ON COLUMN tidemill.prediction_run.resolution_id IS 'Who published or discarded a withheld run, and why.';
COMMENT ON COLUMN tidemill.prediction_run.marked IS
    'Published although withheld, by the fallback that the spec declares, after nobody had decided in time.';

CREATE FUNCTION tidemill.refuse_transition() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (OLD.status, NEW.status) NOT IN (
        ('writing', 'written'), ('writing', 'collected'),
        ('written', 'withheld'), ('written', 'published'), ('written', 'stale'), ('written', 'collected'),
        ('withheld', 'published'), ('withheld', 'discarded'), ('withheld', 'stale'),
        ('published', 'superseded'), ('superseded', 'published'), ('superseded', 'collected'),
        ('discarded', 'collected'), ('stale', 'collected'))
    THEN
        RAISE EXCEPTION 'prediction run % cannot become % from %', OLD.prediction_run_id, NEW.status, OLD.status
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER allowed_transition BEFORE UPDATE OF status ON tidemill.prediction_run
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION tidemill.refuse_transition();

-- ---------------------------------------------------------------- what readers see of it

CREATE OR REPLACE VIEW tidemill.published_partition AS
SELECT pointer.model, pointer.partition, run.n_rows, run.n_rows = 0 AS empty, run.release_id, run.prediction_run_id,
       run.simulated, pointer.published_at, held.prediction_run_id IS NOT NULL AS withheld, run.marked, inspection.reasons
FROM tidemill.published pointer
JOIN tidemill.prediction_run run USING (prediction_run_id)
LEFT JOIN tidemill.prediction_run held
       ON (held.model, held.partition, held.status) = (pointer.model, pointer.partition, 'withheld')
LEFT JOIN tidemill.decision inspection
       ON inspection.decision_id = coalesce(held.inspection_id, CASE WHEN run.marked THEN run.inspection_id END)
UNION ALL
SELECT held.model, held.partition, NULL, NULL, NULL, NULL, NULL, NULL, true, false, inspection.reasons
FROM tidemill.prediction_run held
JOIN tidemill.decision inspection ON inspection.decision_id = held.inspection_id
WHERE held.status = 'withheld'
  AND NOT EXISTS (SELECT FROM tidemill.published p WHERE (p.model, p.partition) = (held.model, held.partition));
COMMENT ON VIEW tidemill.published_partition IS
    'Every published partition with its number of rows, and every withheld one. Empty is one that had nothing to score, '
    'and was published as such. A withheld one shows its earlier rows, or none: published_at is NULL then.';
COMMENT ON COLUMN tidemill.published_partition.withheld IS
    'Whether newer rows wait for a person: tidemill publish, or tidemill discard.';
COMMENT ON COLUMN tidemill.published_partition.marked IS
    'Whether these rows were withheld, and published because nobody decided in time.';
COMMENT ON COLUMN tidemill.published_partition.reasons IS 'Why rows are withheld or marked.';

-- ---------------------------------------------------------------- who withholds, and who decides

CREATE FUNCTION tidemill.withhold(prediction_run_id bigint, reasons text[], evidence jsonb, run_id bigint)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run tidemill.prediction_run;
    decision bigint;
BEGIN
    SELECT r.* INTO run FROM tidemill.prediction_run r
    WHERE r.prediction_run_id = withhold.prediction_run_id AND r.status = 'written' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    decision := tidemill.record_decision(run.model, run.partition, 'inspect', 'reject', reasons, evidence, run_id, '');
    UPDATE tidemill.prediction_run r SET status = 'stale'
    WHERE r.model = run.model AND r.partition = run.partition AND r.status = 'withheld';
    UPDATE tidemill.prediction_run r SET status = 'withheld', inspection_id = decision
    WHERE r.prediction_run_id = run.prediction_run_id;
    RETURN decision;
END $$;
COMMENT ON FUNCTION tidemill.withhold IS
    'Withhold a written run, in place of an older withheld one; returns the decision, or NULL if the run is not written.';

CREATE FUNCTION tidemill.resolve(prediction_run_id bigint, verdict text, reasons text[], decided_by text, marked boolean, run_id bigint)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run tidemill.prediction_run;
    decision bigint;
BEGIN
    SELECT r.* INTO run FROM tidemill.prediction_run r
    WHERE r.prediction_run_id = resolve.prediction_run_id AND r.status = 'withheld' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    decision := tidemill.record_decision(
        run.model, run.partition, 'publish', verdict, reasons,
        jsonb_build_object('prediction_run_id', run.prediction_run_id, 'marked', marked), run_id, decided_by);
    UPDATE tidemill.prediction_run r SET resolution_id = decision, marked = resolve.marked AND verdict = 'accept',
        status = CASE verdict WHEN 'accept' THEN r.status ELSE 'discarded' END
    WHERE r.prediction_run_id = run.prediction_run_id;
    IF verdict = 'accept' THEN
        PERFORM tidemill.move_pointer(run.prediction_run_id, run.n_rows, run.checksum);
    END IF;
    RETURN decision;
END $$;
COMMENT ON FUNCTION tidemill.resolve IS
    'Publish a withheld run if the verdict is accept, discard it if not; returns the decision, or NULL if it is not withheld.';

-- As before, and a withheld run becomes visible once a decision accepts it; another one of the partition becomes stale.
CREATE OR REPLACE FUNCTION tidemill.move_pointer(prediction_run_id bigint, n_rows bigint, checksum text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run tidemill.prediction_run;
    previous bigint;
BEGIN
    PERFORM FROM tidemill.claim c JOIN tidemill.prediction_run r USING (model, partition)
    WHERE r.prediction_run_id = move_pointer.prediction_run_id FOR UPDATE OF c;
    UPDATE tidemill.prediction_run r SET status = 'published', published_at = now()
    WHERE r.prediction_run_id = move_pointer.prediction_run_id AND (r.status IN ('written', 'superseded') OR r.status = 'withheld' AND r.resolution_id IS NOT NULL)
      AND r.n_rows = move_pointer.n_rows AND r.checksum = move_pointer.checksum
    RETURNING r.* INTO run;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT p.prediction_run_id INTO previous FROM tidemill.published p
    WHERE p.model = run.model AND p.partition = run.partition;
    INSERT INTO tidemill.published AS p (model, partition, prediction_run_id)
    VALUES (run.model, run.partition, run.prediction_run_id)
    ON CONFLICT ON CONSTRAINT published_pkey
    DO UPDATE SET prediction_run_id = excluded.prediction_run_id, published_at = now();
    UPDATE tidemill.prediction_run r SET status = 'superseded' WHERE r.prediction_run_id = previous;
    UPDATE tidemill.prediction_run r SET status = 'stale'
    WHERE r.model = run.model AND r.partition = run.partition AND r.status = 'withheld';
    PERFORM tidemill.append_event('publish', run.model, tidemill.publication(run, previous));
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION tidemill.mark_stale(prediction_run_id bigint)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE tidemill.prediction_run r SET status = 'stale'
    WHERE r.prediction_run_id = mark_stale.prediction_run_id AND r.status IN ('written', 'withheld')
$$;

-- ---------------------------------------------------------------- retention

-- As before, and discarded runs go, too. A withheld run stays until a person decides.
CREATE OR REPLACE FUNCTION tidemill.collect_prediction_run(prediction_run_id bigint, status_since timestamptz, reason text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
    run tidemill.prediction_run;
    rows_table text := 'prediction_run_' || collect_prediction_run.prediction_run_id;
    parent regclass;
    size_bytes bigint := 0;
BEGIN
    SELECT r.* INTO run FROM tidemill.prediction_run r
    WHERE r.prediction_run_id = collect_prediction_run.prediction_run_id FOR UPDATE NOWAIT;
    IF NOT FOUND OR run.status NOT IN ('writing', 'written', 'stale', 'discarded', 'superseded')
        OR run.status_since <> collect_prediction_run.status_since  -- it is no longer what the caller decided about
        OR run.status_since > clock_timestamp() - interval '1 day'  -- the least that a spec may ask for
        OR EXISTS (SELECT FROM tidemill.published p WHERE p.prediction_run_id = run.prediction_run_id)
        OR EXISTS (SELECT FROM tidemill.held h
                   WHERE h.model = run.model
                     AND (h.what, h.name) IN (('prediction_run', run.prediction_run_id::text),
                                              ('partition', run.partition), ('release', run.release_id::text)))
    THEN
        RETURN 'kept';
    END IF;
    LOCK TABLE tidemill.audit IN SHARE ROW EXCLUSIVE MODE;  -- first, so that nothing is waited for with readers shut out
    SELECT i.inhparent INTO parent FROM pg_catalog.pg_inherits i
    WHERE i.inhrelid = to_regclass('tidemill.' || rows_table);
    IF parent IS NOT NULL THEN
        BEGIN
            EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', parent);
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            RETURN 'reading';
        END;
    END IF;
    IF to_regclass('tidemill.' || rows_table) IS NOT NULL THEN
        EXECUTE format('LOCK TABLE tidemill.%I IN ACCESS EXCLUSIVE MODE NOWAIT', rows_table);
        size_bytes := pg_total_relation_size(to_regclass('tidemill.' || rows_table));
        EXECUTE format('DROP TABLE tidemill.%I', rows_table);
    END IF;
    UPDATE tidemill.prediction_run r SET status = 'collected' WHERE r.prediction_run_id = run.prediction_run_id;
    PERFORM tidemill.append_audit('collect', run.model, jsonb_build_object(
        'kind', 'prediction_run', 'name', run.prediction_run_id::text, 'partition', run.partition, 'was', run.status,
        'release_id', run.release_id, 'n_rows', run.n_rows, 'checksum', run.checksum, 'size_bytes', size_bytes,
        'reason', collect_prediction_run.reason));
    RETURN 'collected';
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    RETURN 'busy';
END $$;

REVOKE ALL ON FUNCTION tidemill.refuse_transition, tidemill.withhold, tidemill.resolve FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidemill.withhold, tidemill.resolve TO tidemill_writer;
