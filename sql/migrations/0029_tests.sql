-- Tests of a model are runs as well: their outcomes are the result of the step.

ALTER TABLE tidemill.run DROP CONSTRAINT run_chain_check,
    ADD CONSTRAINT run_chain_check CHECK (chain IN ('train', 'predict', 'monitor', 'retrain', 'reproduce', 'test'));
