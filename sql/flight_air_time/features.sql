-- One row for each flight scheduled in the interval, with what was known at the cutoff about how long it will be in the
-- air: the distance, the plane, and above all how long the same route took lately, which reflects the winds.
WITH

flight AS (
    SELECT
        flight_id, scheduled_departure, scheduled_arrival, carrier, tailnum, origin, dest, distance,
        scheduled_departure AT TIME ZONE 'America/New_York' AS local_departure
    FROM raw.flights
    WHERE scheduled_departure >= CAST(:start AS timestamptz)
      AND scheduled_departure < CAST(:end AS timestamptz)
      AND schedule_known_at <= CAST(:cutoff AS timestamptz)
),

-- Flights of the last 28 days that had landed by the cutoff. All flew from New York: origins a few miles apart count as one.
flown AS MATERIALIZED (
    SELECT
        carrier, dest, distance, CAST(air_time AS double precision) AS minutes,
        scheduled_departure >= CAST(:cutoff AS timestamptz) - interval '168 hours' AS in_7d,
        scheduled_departure >= CAST(:cutoff AS timestamptz) - interval '24 hours' AS in_24h
    FROM raw.flights
    WHERE scheduled_departure >= CAST(:cutoff AS timestamptz) - interval '672 hours'
      AND scheduled_departure < CAST(:cutoff AS timestamptz)
      AND outcome_known_at <= CAST(:cutoff AS timestamptz)
),
by_route AS (
    SELECT dest, avg(minutes ORDER BY minutes) AS d28, avg(minutes ORDER BY minutes) FILTER (WHERE in_7d) AS d7
    FROM flown GROUP BY dest
),
by_carrier AS (
    SELECT dest, carrier, avg(minutes ORDER BY minutes) AS d28 FROM flown GROUP BY dest, carrier
),

-- How much longer than usual the long flights of the last day took: the jet stream affects all of them.
wind AS (
    SELECT avg(flown.minutes / by_route.d28 - 1 ORDER BY flown.minutes / by_route.d28) AS bias
    FROM flown JOIN by_route USING (dest)
    WHERE in_24h AND distance > 1000
),

-- The newest reading at the origin. No wind in New York blows at 150 miles an hour.
latest AS (
    SELECT DISTINCT ON (origin) origin, wind_dir, nullif(wind_speed, greatest(wind_speed, 150)) AS wind_speed
    FROM raw.weather
    WHERE known_at <= CAST(:cutoff AS timestamptz)
      AND known_at > CAST(:cutoff AS timestamptz) - interval '24 hours'
    ORDER BY origin, known_at DESC
)

SELECT
    flight.flight_id,
    flight.scheduled_departure,
    flight.carrier,
    flight.origin,
    flight.dest,
    CAST(flight.distance AS integer) AS distance,
    CAST(EXTRACT(epoch FROM scheduled_arrival - flight.scheduled_departure) / 60 AS integer) AS scheduled_minutes,
    CAST(EXTRACT(hour FROM local_departure) * 60 + EXTRACT(minute FROM local_departure) AS integer) AS departure_minute,
    CAST(EXTRACT(isodow FROM local_departure) AS integer) AS weekday,
    CAST(plane.seats AS integer) AS seats,
    CAST(latest.wind_dir AS integer) AS wind_dir,
    latest.wind_speed,
    by_route.d7 AS route_air_time_7d,
    by_route.d28 AS route_air_time_28d,
    by_carrier.d28 AS carrier_air_time_28d,
    wind.bias AS long_flights_bias_24h
FROM flight
CROSS JOIN wind
LEFT JOIN by_route ON by_route.dest = flight.dest
LEFT JOIN by_carrier ON by_carrier.dest = flight.dest AND by_carrier.carrier = flight.carrier
LEFT JOIN raw.planes AS plane ON plane.tailnum = flight.tailnum
LEFT JOIN latest ON latest.origin = flight.origin
ORDER BY flight.scheduled_departure, flight.flight_id
