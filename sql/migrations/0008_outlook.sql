-- Quality estimated before labels, and rows recomputed later, are figures of their own: a partition's realised quality,
-- measured days afterwards by another run, must not hide what was estimated on its day.

ALTER TABLE tidemill.metric DROP CONSTRAINT metric_part_check,
    ADD CONSTRAINT metric_part_check CHECK (part IN ('drift', 'performance', 'compute', 'freshness', 'estimate', 'skew'));
