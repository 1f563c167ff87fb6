-- Labels of the flights scheduled in the interval, as far as they were known at the cutoff.
-- A cancelled or diverted flight never gets one, so fewer rows than flights is normal.
SELECT
    flight_id,
    arr_delay > 15   AS arrived_late,
    outcome_known_at AS observed_at
FROM raw.flights
WHERE scheduled_departure >= CAST(:start AS timestamptz)
  AND scheduled_departure < CAST(:end AS timestamptz)
  AND outcome_known_at <= CAST(:cutoff AS timestamptz)
ORDER BY scheduled_departure, flight_id
