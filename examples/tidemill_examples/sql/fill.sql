-- From the files' local clocks to instants, then keys, indexes and grants: loading first and indexing last is faster.
INSERT INTO raw.weather
SELECT origin, time_hour, time_hour + interval '1 hour', temp, dewp, humid, wind_dir, wind_speed, wind_gust,
       precip, pressure, visib
FROM source_weather ORDER BY time_hour, origin;

-- Clock times are HHMM. The arrival is on the destination's clock, without a date: take the first one after the departure.
WITH clock AS (
    SELECT f.*, d.zone, make_date(f.year, f.month, f.day) AS local_date,
           make_time(f.sched_dep_time / 100, mod(f.sched_dep_time, 100), 0) AS departs,
           make_time(f.sched_arr_time / 100, mod(f.sched_arr_time, 100), 0) AS arrives
    FROM source_flights f LEFT JOIN destination d USING (dest)
), instant AS (
    SELECT *, (local_date + departs) AT TIME ZONE 'America/New_York' AS departure,
           (local_date + arrives) AT TIME ZONE zone AS arrival_same_day,
           (local_date + 1 + arrives) AT TIME ZONE zone AS arrival_next_day
    FROM clock
), flown AS (
    SELECT *, CASE WHEN arrival_same_day > departure THEN arrival_same_day ELSE arrival_next_day END AS arrival
    FROM instant
)
INSERT INTO raw.flights
SELECT to_char(local_date, 'YYYY-MM-DD') || '-' || carrier || flight || '-' || origin || '-' || to_char(departs, 'HH24MI'),
       carrier, flight, tailnum, origin, dest, distance, departure, arrival,
       departure + dep_delay * interval '1 minute', arrival + arr_delay * interval '1 minute',
       dep_delay, arr_delay, air_time, dep_delay IS NULL, dep_delay IS NOT NULL AND arr_delay IS NULL,
       departure - interval '1440 hours', departure + dep_delay * interval '1 minute', arrival + arr_delay * interval '1 minute'
FROM flown ORDER BY departure, carrier, flight;

ALTER TABLE raw.weather
    ADD PRIMARY KEY (origin, observed_at),
    ADD FOREIGN KEY (origin) REFERENCES raw.airports (faa);
-- No foreign key on dest and tailnum: the source lacks four airports and the planes of 15 % of the flights.
ALTER TABLE raw.flights
    ADD PRIMARY KEY (flight_id),
    ADD FOREIGN KEY (carrier) REFERENCES raw.airlines (carrier),
    ADD FOREIGN KEY (origin) REFERENCES raw.airports (faa);
CREATE INDEX weather_known_at ON raw.weather (known_at);
CREATE INDEX flights_scheduled_departure ON raw.flights (scheduled_departure);

ANALYZE raw.airlines;
ANALYZE raw.airports;
ANALYZE raw.planes;
ANALYZE raw.weather;
ANALYZE raw.flights;

-- Where the platform's reader exists, it may read; another warehouse may have other roles.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tidemill_reader') THEN
        GRANT USAGE ON SCHEMA raw TO tidemill_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA raw TO tidemill_reader;
    END IF;
END
$$;
