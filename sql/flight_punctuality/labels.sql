-- How the flights scheduled in the interval arrived, as far as that was known at the cutoff.
-- A cancelled or diverted flight never gets a label: the source does not say when it was known.
SELECT
    flight_id,
    CASE WHEN arr_delay > 60 THEN 'very_late' WHEN arr_delay > 15 THEN 'late' ELSE 'on_time' END AS punctuality,
    outcome_known_at AS observed_at
FROM raw.flights
WHERE scheduled_departure >= CAST(:start AS timestamptz)
  AND scheduled_departure < CAST(:end AS timestamptz)
  AND outcome_known_at <= CAST(:cutoff AS timestamptz)
