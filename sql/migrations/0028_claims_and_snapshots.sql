-- A claim's token comes only from its sequence, and a snapshot's row never changes: functions of the owner give the one,
-- a trigger refuses the other.

CREATE FUNCTION tidemill.take_claim(model text, partition text, run_id bigint)
RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO tidemill.claim (model, partition, token, origin, run_id)
    SELECT take_claim.model, take_claim.partition, next, next, take_claim.run_id FROM nextval('tidemill.claim_token') next
    ON CONFLICT (model, partition) DO UPDATE
    SET (token, origin) = (SELECT next, next FROM nextval('tidemill.claim_token') next),  -- under the row's lock
        run_id = excluded.run_id, claimed_at = now()
    RETURNING token
$$;
COMMENT ON FUNCTION tidemill.take_claim IS 'Take the next token of a partition: from now on, older attempts cannot publish.';

CREATE FUNCTION tidemill.renew_claim(model text, partition text, origin bigint, run_id bigint)
RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE tidemill.claim c SET token = nextval('tidemill.claim_token'), run_id = renew_claim.run_id, claimed_at = now()
    WHERE (c.model, c.partition, c.origin) = (renew_claim.model, renew_claim.partition, renew_claim.origin)
    RETURNING token
$$;
COMMENT ON FUNCTION tidemill.renew_claim IS
    'Take a newer token for a chain that still holds the claim of a partition; NULL if another chain has taken it.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tidemill.snapshot
    FOR EACH STATEMENT EXECUTE FUNCTION tidemill.refuse_change();

REVOKE INSERT, UPDATE ON tidemill.claim FROM tidemill_writer;
GRANT UPDATE (claimed_at) ON tidemill.claim TO tidemill_writer;  -- what it takes to lock the row while publishing
REVOKE ALL ON SEQUENCE tidemill.claim_token FROM tidemill_writer;
GRANT SELECT ON SEQUENCE tidemill.claim_token TO tidemill_writer, tidemill_promoter, tidemill_reader;  -- for the doctor
REVOKE ALL ON FUNCTION tidemill.take_claim, tidemill.renew_claim FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidemill.take_claim, tidemill.renew_claim TO tidemill_writer;
