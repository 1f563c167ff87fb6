-- The example's tables. fill.sql fills them, in the same transaction.
-- Dropped and created again, because the files have changed. The grants at the end of fill.sql say who may read.
DROP TABLE IF EXISTS raw.flights, raw.weather, raw.planes, raw.airports, raw.airlines;

CREATE TABLE raw.airlines (
    carrier text PRIMARY KEY,
    name    text NOT NULL
);
COMMENT ON TABLE raw.airlines IS 'The 16 airlines that left New York in 2013. Assumed to be known at any time.';
COMMENT ON COLUMN raw.airlines.carrier IS 'Two-character code of the airline, e.g. UA.';
COMMENT ON COLUMN raw.airlines.name IS 'Name of the airline, e.g. United Air Lines Inc.';

CREATE TABLE raw.airports (
    faa   text PRIMARY KEY,
    name  text NOT NULL,
    lat   double precision NOT NULL,
    lon   double precision NOT NULL,
    alt   integer NOT NULL,
    tz    smallint NOT NULL,
    dst   text NOT NULL,
    tzone text
);
COMMENT ON TABLE raw.airports IS
    'Airports of the United States. Assumed to be known at any time. Four destinations are not in it: BQN, PSE, SJU and STT.';
COMMENT ON COLUMN raw.airports.faa IS 'Code of the airport, e.g. JFK.';
COMMENT ON COLUMN raw.airports.name IS 'Name of the airport.';
COMMENT ON COLUMN raw.airports.lat IS 'Latitude in degrees, north is positive.';
COMMENT ON COLUMN raw.airports.lon IS 'Longitude in degrees, east is positive.';
COMMENT ON COLUMN raw.airports.alt IS 'Altitude in feet above the sea.';
COMMENT ON COLUMN raw.airports.tz IS 'Standard time there, in hours from UTC, without daylight saving.';
COMMENT ON COLUMN raw.airports.dst IS 'Daylight saving: A as in the United States, N none, U unknown.';
COMMENT ON COLUMN raw.airports.tzone IS 'IANA time zone, e.g. America/New_York; NULL for three airports where the source has none.';

CREATE TABLE raw.planes (
    tailnum      text PRIMARY KEY,
    year         smallint,
    type         text NOT NULL,
    manufacturer text NOT NULL,
    model        text NOT NULL,
    engines      smallint NOT NULL,
    seats        smallint NOT NULL,
    speed        smallint,
    engine       text NOT NULL
);
COMMENT ON TABLE raw.planes IS
    'Planes, from the register of the Federal Aviation Administration. Assumed to be known at any time. It lacks the planes of 15 % of the flights: nearly all of MQ''s and two thirds of AA''s.';
COMMENT ON COLUMN raw.planes.tailnum IS 'Number on the plane''s tail, e.g. N14228.';
COMMENT ON COLUMN raw.planes.year IS 'Year in which the plane was built; NULL if the register does not say.';
COMMENT ON COLUMN raw.planes.type IS 'Kind of aircraft, e.g. Fixed wing multi engine.';
COMMENT ON COLUMN raw.planes.manufacturer IS 'Maker as the register spells it: AIRBUS and AIRBUS INDUSTRIE are one maker.';
COMMENT ON COLUMN raw.planes.model IS 'Model, e.g. A320-232.';
COMMENT ON COLUMN raw.planes.engines IS 'Number of engines.';
COMMENT ON COLUMN raw.planes.seats IS 'Number of seats of the type, which is not the number that this airline built in.';
COMMENT ON COLUMN raw.planes.speed IS 'Cruising speed in miles per hour; NULL for nearly all planes.';
COMMENT ON COLUMN raw.planes.engine IS 'Kind of engine, e.g. Turbo-fan.';

CREATE TABLE raw.weather (
    origin      text NOT NULL,
    observed_at timestamptz NOT NULL,
    known_at    timestamptz NOT NULL,
    temp        double precision,
    dewp        double precision,
    humid       double precision,
    wind_dir    smallint,
    wind_speed  double precision,
    wind_gust   double precision,
    precip      double precision NOT NULL,
    pressure    double precision,
    visib       double precision NOT NULL
);
COMMENT ON TABLE raw.weather IS
    'One reading an hour at each of the three airports. Some hours are missing, and so is the last day of the year.';
COMMENT ON COLUMN raw.weather.origin IS 'Airport: EWR, JFK or LGA.';
COMMENT ON COLUMN raw.weather.observed_at IS
    'Start of the hour that the reading belongs to. The instrument was read within that hour, usually at 51 minutes past.';
COMMENT ON COLUMN raw.weather.known_at IS 'When the reading was certainly known: at the end of its hour, observed_at + 1 hour.';
COMMENT ON COLUMN raw.weather.temp IS 'Temperature in degrees Fahrenheit.';
COMMENT ON COLUMN raw.weather.dewp IS 'Dew point in degrees Fahrenheit.';
COMMENT ON COLUMN raw.weather.humid IS 'Relative humidity in percent, 0 to 100.';
COMMENT ON COLUMN raw.weather.wind_dir IS 'Direction that the wind comes from, in degrees from north; NULL when it is variable.';
COMMENT ON COLUMN raw.weather.wind_speed IS
    'Wind speed in miles per hour. One reading is broken and left as it is: 1,048 at EWR on 2013-02-12.';
COMMENT ON COLUMN raw.weather.wind_gust IS 'Speed of gusts in miles per hour; NULL when there were none.';
COMMENT ON COLUMN raw.weather.precip IS 'Precipitation of the hour in inches.';
COMMENT ON COLUMN raw.weather.pressure IS 'Pressure at sea level in millibars; NULL in 10 % of the hours.';
COMMENT ON COLUMN raw.weather.visib IS 'Visibility in miles; the instrument stops at 10.';

CREATE TABLE raw.flights (
    flight_id           text NOT NULL,
    carrier             text NOT NULL,
    flight              smallint NOT NULL,
    tailnum             text,
    origin              text NOT NULL,
    dest                text NOT NULL,
    distance            smallint NOT NULL,
    scheduled_departure timestamptz NOT NULL,
    scheduled_arrival   timestamptz NOT NULL,
    actual_departure    timestamptz,
    actual_arrival      timestamptz,
    dep_delay           smallint,
    arr_delay           smallint,
    air_time            smallint,
    cancelled           boolean NOT NULL,
    diverted            boolean NOT NULL,
    schedule_known_at   timestamptz NOT NULL,
    departure_known_at  timestamptz,
    outcome_known_at    timestamptz
);
COMMENT ON TABLE raw.flights IS
    'Every flight scheduled out of New York (EWR, JFK, LGA) in 2013. Each fact has a time at which it became known: ask for what was known at an instant by comparing it with the *_known_at columns.';
COMMENT ON COLUMN raw.flights.flight_id IS
    'Scheduled local date, carrier and flight number, origin, scheduled local time: 2013-07-01-UA1545-EWR-0515.';
COMMENT ON COLUMN raw.flights.carrier IS 'Two-character code of the airline, see raw.airlines. Known with the schedule.';
COMMENT ON COLUMN raw.flights.flight IS 'Flight number of the airline. Known with the schedule.';
COMMENT ON COLUMN raw.flights.tailnum IS
    'The plane that flew, see raw.planes (which lacks some); NULL for some cancelled flights. An assumption takes it as known with the schedule: airlines do swap planes on the day, and the source only has the last word.';
COMMENT ON COLUMN raw.flights.origin IS 'Airport of departure: EWR, JFK or LGA. Known with the schedule.';
COMMENT ON COLUMN raw.flights.dest IS 'Airport of arrival, see raw.airports (which lacks four). Known with the schedule.';
COMMENT ON COLUMN raw.flights.distance IS 'Distance between the airports in miles. Known with the schedule.';
COMMENT ON COLUMN raw.flights.scheduled_departure IS 'Scheduled departure. Known with the schedule.';
COMMENT ON COLUMN raw.flights.scheduled_arrival IS
    'Scheduled arrival: the first such time on the clock of the destination after the departure. Known with the schedule.';
COMMENT ON COLUMN raw.flights.actual_departure IS 'Departure from the gate; NULL if cancelled. Known at departure_known_at.';
COMMENT ON COLUMN raw.flights.actual_arrival IS
    'Arrival at the gate; NULL if cancelled, diverted, or never reported. Known at outcome_known_at.';
COMMENT ON COLUMN raw.flights.dep_delay IS 'Minutes from scheduled to actual departure, negative when early. Known at departure_known_at.';
COMMENT ON COLUMN raw.flights.arr_delay IS 'Minutes from scheduled to actual arrival, negative when early. Known at outcome_known_at.';
COMMENT ON COLUMN raw.flights.air_time IS 'Minutes in the air. Known at outcome_known_at.';
COMMENT ON COLUMN raw.flights.cancelled IS
    'The flight never left. Hindsight: the source does not say when that was decided. To stay honest ask instead which flights had not left by an instant.';
COMMENT ON COLUMN raw.flights.diverted IS
    'The flight left and has no arrival delay: it landed elsewhere or was not reported. Hindsight, as for cancelled.';
COMMENT ON COLUMN raw.flights.schedule_known_at IS
    'When the schedule was known. An assumption, since the source does not say: 60 days before the scheduled departure.';
COMMENT ON COLUMN raw.flights.departure_known_at IS 'When the departure was known: as it happened. NULL if cancelled.';
COMMENT ON COLUMN raw.flights.outcome_known_at IS
    'When arrival, arr_delay and air_time were known: at the actual arrival. NULL if there was none, so there is no outcome.';

-- What the files hold, column for column; gone when the transaction ends.
CREATE TEMPORARY TABLE source_weather (
    origin text, year smallint, month smallint, day smallint, hour smallint, temp double precision, dewp double precision,
    humid double precision, wind_dir smallint, wind_speed double precision, wind_gust double precision,
    precip double precision, pressure double precision, visib double precision, time_hour timestamptz
) ON COMMIT DROP;
CREATE TEMPORARY TABLE source_flights (
    year smallint, month smallint, day smallint, dep_time smallint, sched_dep_time smallint, dep_delay smallint,
    arr_time smallint, sched_arr_time smallint, arr_delay smallint, carrier text, flight smallint, tailnum text,
    origin text, dest text, air_time smallint, distance smallint, hour smallint, minute smallint, time_hour timestamptz
) ON COMMIT DROP;
CREATE TEMPORARY TABLE destination (dest text PRIMARY KEY, zone text NOT NULL) ON COMMIT DROP;
