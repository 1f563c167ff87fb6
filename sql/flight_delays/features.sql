-- One row for each flight scheduled in the interval, with what was known about it at the cutoff.
-- "Late" is an arrival more than 15 minutes after schedule. Hours in intervals, never days: a day's length
-- would depend on the session's time zone when the clocks change.
WITH

-- The flights to describe. Every column read here was known with the schedule.
flight AS (
    SELECT
        flight_id, scheduled_departure, scheduled_arrival, carrier, flight, tailnum, origin, dest, distance,
        scheduled_departure AT TIME ZONE 'America/New_York' AS local_departure
    FROM raw.flights
    WHERE scheduled_departure >= CAST(:start AS timestamptz)
      AND scheduled_departure < CAST(:end AS timestamptz)
      AND schedule_known_at <= CAST(:cutoff AS timestamptz)
),

-- Flights of the last 28 days whose outcome was known at the cutoff. Delays stop at 3 hours: an outlier is not a habit.
outcome AS (
    SELECT
        carrier, flight, origin, dest, dep_delay, least(arr_delay, 180) AS delay, arr_delay > 15 AS late,
        CAST(EXTRACT(hour FROM scheduled_departure AT TIME ZONE 'America/New_York') AS integer) AS hour,
        scheduled_departure >= CAST(:cutoff AS timestamptz) - interval '168 hours' AS in_7d,
        scheduled_departure >= CAST(:cutoff AS timestamptz) - interval '24 hours' AS in_24h
    FROM raw.flights
    WHERE scheduled_departure >= CAST(:cutoff AS timestamptz) - interval '672 hours'
      AND scheduled_departure < CAST(:cutoff AS timestamptz)
      AND outcome_known_at <= CAST(:cutoff AS timestamptz)
),

-- The same, aggregated by flight number, so that every history below sums few rows. (late and n are counts.)
past AS MATERIALIZED (
    SELECT
        carrier, flight, origin, dest, hour,
        CAST(count(*) AS double precision) AS n_28d,
        CAST(count(*) FILTER (WHERE in_7d) AS double precision) AS n_7d,
        CAST(count(*) FILTER (WHERE in_24h) AS double precision) AS n_24h,
        CAST(count(*) FILTER (WHERE late) AS double precision) AS late_28d,
        CAST(count(*) FILTER (WHERE late AND in_7d) AS double precision) AS late_7d,
        CAST(count(*) FILTER (WHERE late AND in_24h) AS double precision) AS late_24h,
        CAST(sum(delay) AS double precision) AS delay_28d,
        CAST(sum(dep_delay) FILTER (WHERE in_24h) AS double precision) AS departure_delay_24h
    FROM outcome
    GROUP BY carrier, flight, origin, dest, hour
),

-- Overall share of late flights and mean delay; groups with few flights are shrunk towards them.
everybody AS (
    SELECT
        sum(late_28d) / sum(n_28d) AS late_28d,
        sum(late_7d) / nullif(sum(n_7d), 0) AS late_7d,
        sum(late_24h) / nullif(sum(n_24h), 0) AS late_24h,
        sum(delay_28d) / sum(n_28d) AS delay_28d
    FROM past
),

-- Histories, smoothed as if the group had flown 20 more flights (10 over the shorter spans) at the overall rates.
by_carrier AS (
    SELECT
        carrier,
        (sum(late_28d) + 20 * (SELECT late_28d FROM everybody)) / (sum(n_28d) + 20) AS late_28d,
        (sum(late_7d) + 10 * (SELECT late_7d FROM everybody)) / (sum(n_7d) + 10) AS late_7d,
        (sum(late_24h) + 10 * (SELECT late_24h FROM everybody)) / (sum(n_24h) + 10) AS late_24h
    FROM past GROUP BY carrier
),
by_dest AS (
    SELECT
        dest, sum(n_28d) AS n_28d,
        (sum(late_28d) + 20 * (SELECT late_28d FROM everybody)) / (sum(n_28d) + 20) AS late_28d
    FROM past GROUP BY dest
),
by_origin AS (
    SELECT
        origin,
        sum(late_7d) / nullif(sum(n_7d), 0) AS late_7d,
        sum(late_24h) / nullif(sum(n_24h), 0) AS late_24h,
        sum(departure_delay_24h) / nullif(sum(n_24h), 0) AS departure_delay_24h
    FROM past GROUP BY origin
),
by_hour AS (
    SELECT hour, (sum(late_28d) + 20 * (SELECT late_28d FROM everybody)) / (sum(n_28d) + 20) AS late_28d
    FROM past GROUP BY hour
),
by_flight AS (
    SELECT
        carrier, flight, origin,
        (sum(late_28d) + 20 * (SELECT late_28d FROM everybody)) / (sum(n_28d) + 20) AS late_28d,
        (sum(delay_28d) + 20 * (SELECT delay_28d FROM everybody)) / (sum(n_28d) + 20) AS delay_28d
    FROM past GROUP BY carrier, flight, origin
),

-- Share of the last 24 hours' flights that had not left: cancelled or still waiting; at the cutoff nobody can tell which.
not_departed AS (
    SELECT
        origin,
        CAST(count(*) FILTER (WHERE coalesce(departure_known_at > CAST(:cutoff AS timestamptz), true)) AS double precision)
            / count(*) AS share
    FROM raw.flights
    WHERE scheduled_departure >= CAST(:cutoff AS timestamptz) - interval '24 hours'
      AND scheduled_departure < CAST(:cutoff AS timestamptz)
    GROUP BY origin
),

-- Readings of the last 24 hours that were known at the cutoff. No wind in New York blows at 150 miles an hour.
reading AS MATERIALIZED (
    SELECT
        origin, known_at, temp, dewp, humid, wind_dir, nullif(wind_speed, greatest(wind_speed, 150)) AS wind_speed,
        precip, pressure, visib,
        known_at > CAST(:cutoff AS timestamptz) - interval '6 hours' AS in_6h
    FROM raw.weather
    WHERE known_at <= CAST(:cutoff AS timestamptz)
      AND known_at > CAST(:cutoff AS timestamptz) - interval '24 hours'
),
latest AS (
    SELECT DISTINCT ON (origin) * FROM reading ORDER BY origin, known_at DESC
),
-- A tenth of the readings lack the pressure: take the newest one that has it.
trend AS (
    SELECT
        origin,
        sum(precip ORDER BY known_at) AS precip_24h,
        max(dewp) AS dewp_max_24h,
        (array_agg(pressure ORDER BY known_at DESC) FILTER (WHERE pressure IS NOT NULL))[1] AS pressure,
        (array_agg(pressure ORDER BY known_at DESC) FILTER (WHERE pressure IS NOT NULL AND NOT in_6h))[1] AS pressure_6h_ago
    FROM reading GROUP BY origin
)

SELECT
    flight.flight_id,
    flight.scheduled_departure,

    -- The schedule. No month and no date: a window of 90 days has not seen the next one.
    flight.carrier,
    flight.origin,
    flight.dest,
    CAST(EXTRACT(hour FROM local_departure) * 60 + EXTRACT(minute FROM local_departure) AS integer) AS departure_minute,
    CAST(EXTRACT(isodow FROM local_departure) AS integer) AS weekday,
    CAST(EXTRACT(epoch FROM scheduled_arrival - flight.scheduled_departure) / 60 AS integer) AS scheduled_minutes,
    CAST(distance AS integer) AS distance,

    -- How full the airport is.
    CAST(count(*) OVER (PARTITION BY flight.origin, date_trunc('hour', local_departure)) AS integer) AS origin_hour_flights,
    CAST(count(*) OVER (PARTITION BY flight.origin) AS integer) AS origin_day_flights,
    CAST(count(*) OVER (PARTITION BY flight.origin, flight.carrier, date_trunc('hour', local_departure)) AS integer)
        AS carrier_hour_flights,

    -- The plane.
    CAST(EXTRACT(year FROM local_departure) - plane.year AS integer) AS plane_age,
    CAST(plane.seats AS integer) AS seats,

    -- The weather at the origin.
    latest.temp,
    latest.dewp,
    latest.humid,
    CAST(latest.wind_dir AS integer) AS wind_dir,
    latest.wind_speed,
    latest.precip,
    latest.visib,
    trend.precip_24h,
    trend.dewp_max_24h,
    trend.pressure,
    trend.pressure - trend.pressure_6h_ago AS pressure_change_6h,

    -- Histories of outcomes.
    coalesce(by_carrier.late_28d, everybody.late_28d) AS carrier_late_28d,
    coalesce(by_carrier.late_7d, everybody.late_7d) AS carrier_late_7d,
    coalesce(by_carrier.late_24h, everybody.late_24h) AS carrier_late_24h,
    coalesce(by_dest.late_28d, everybody.late_28d) AS dest_late_28d,
    by_origin.late_7d AS origin_late_7d,
    by_origin.late_24h AS origin_late_24h,
    by_origin.departure_delay_24h AS origin_departure_delay_24h,
    not_departed.share AS origin_not_departed_24h,
    coalesce(by_hour.late_28d, everybody.late_28d) AS hour_late_28d,
    coalesce(by_flight.late_28d, everybody.late_28d) AS flight_late_28d,
    coalesce(by_flight.delay_28d, everybody.delay_28d) AS flight_delay_28d,

    -- No feature: are passengers to small places served as well as others? Up to 3 flights a day, up to 15, or more.
    CASE WHEN coalesce(by_dest.n_28d, 0) <= 84 THEN 'small' WHEN by_dest.n_28d <= 420 THEN 'medium' ELSE 'large' END
        AS dest_size

FROM flight
CROSS JOIN everybody
LEFT JOIN raw.planes AS plane USING (tailnum)
LEFT JOIN latest ON latest.origin = flight.origin
LEFT JOIN trend ON trend.origin = flight.origin
LEFT JOIN by_carrier ON by_carrier.carrier = flight.carrier
LEFT JOIN by_dest ON by_dest.dest = flight.dest
LEFT JOIN by_origin ON by_origin.origin = flight.origin
LEFT JOIN not_departed ON not_departed.origin = flight.origin
LEFT JOIN by_hour ON by_hour.hour = EXTRACT(hour FROM local_departure)
LEFT JOIN by_flight
    ON by_flight.carrier = flight.carrier AND by_flight.flight = flight.flight AND by_flight.origin = flight.origin
ORDER BY flight.scheduled_departure, flight.flight_id
