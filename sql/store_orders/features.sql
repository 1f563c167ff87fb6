-- One row for each store and the day of the interval, which has not begun: how many orders it had on the days before, as
-- known at the cutoff on the evening before. The day's event time is its noon.
WITH

day AS (
    SELECT CAST(CAST(:start AS timestamptz) AT TIME ZONE 'Europe/Berlin' AS date) AS day
),

known AS MATERIALIZED (
    SELECT store, ordered_at, CAST(ordered_at AT TIME ZONE 'Europe/Berlin' AS date) AS day
    FROM demo_shop.orders
    WHERE ordered_at >= CAST(:cutoff AS timestamptz) - interval '696 hours'
      AND loaded_at <= CAST(:cutoff AS timestamptz)
)

SELECT
    to_char(day.day, 'YYYY-MM-DD') || ' ' || known.store AS store_day,
    (day.day + time '12:00') AT TIME ZONE 'Europe/Berlin' AS noon,
    known.store,
    to_char(day.day, 'Dy') AS weekday,
    count(*) FILTER (WHERE known.ordered_at >= CAST(:cutoff AS timestamptz) - interval '24 hours') AS orders_24h,
    count(*) FILTER (WHERE known.ordered_at >= CAST(:cutoff AS timestamptz) - interval '168 hours') / 7.0 AS orders_7d,
    count(*) FILTER (WHERE known.day = day.day - 7) AS orders_week_ago,
    count(*) FILTER (WHERE known.day IN (day.day - 7, day.day - 14, day.day - 21, day.day - 28)) / 4.0 AS orders_same_weekday
FROM day
CROSS JOIN known
GROUP BY day.day, known.store
