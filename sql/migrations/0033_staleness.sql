-- How releases age: the loss of a release of some age against the youngest one, on the same matured partition.

ALTER TABLE tidemill.metric DROP CONSTRAINT metric_part_check,
    ADD CONSTRAINT metric_part_check CHECK (
        part IN ('drift', 'performance', 'compute', 'freshness', 'estimate', 'skew', 'labels', 'shadow', 'staleness'));
