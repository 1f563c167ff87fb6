-- How many orders each store had on each day of the interval; known when the last order of the day is in the table.
SELECT
    to_char(day, 'YYYY-MM-DD') || ' ' || store AS store_day,
    CAST(count(*) AS double precision) AS n_orders,
    (day + 1 + time '00:30') AT TIME ZONE 'Europe/Berlin' AS observed_at
FROM (
    SELECT store, CAST(ordered_at AT TIME ZONE 'Europe/Berlin' AS date) AS day
    FROM demo_shop.orders
    WHERE ordered_at >= CAST(:start AS timestamptz)
      AND ordered_at < CAST(:end AS timestamptz)
      AND loaded_at <= CAST(:cutoff AS timestamptz)
) AS known
GROUP BY day, store
HAVING (day + 1 + time '00:30') AT TIME ZONE 'Europe/Berlin' <= CAST(:cutoff AS timestamptz)
