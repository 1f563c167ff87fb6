-- Minutes in the air of the flights scheduled in the interval, as far as they were known at the cutoff.
SELECT
    flight_id,
    CAST(air_time AS double precision) AS air_time,
    outcome_known_at AS observed_at
FROM raw.flights
WHERE scheduled_departure >= CAST(:start AS timestamptz)
  AND scheduled_departure < CAST(:end AS timestamptz)
  AND outcome_known_at <= CAST(:cutoff AS timestamptz)
