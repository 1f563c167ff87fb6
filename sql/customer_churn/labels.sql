-- Who left at the end of the month, for each of the customer's days in it. The query also returns the event
-- time, so labels are joined by key and time. A label is known when the month is closed.
SELECT
    d.customer_id,
    CAST(d.day AS timestamp) AT TIME ZONE 'Europe/Berlin' AS scored_day,
    m.churned,
    m.closed_at AS observed_at
FROM demo_network.customer_day AS d
JOIN demo_network.customer_month AS m
  ON m.customer_id = d.customer_id AND m.month = CAST(date_trunc('month', CAST(d.day AS timestamp)) AS date)
WHERE d.day >= CAST(CAST(:start AS timestamptz) AT TIME ZONE 'Europe/Berlin' AS date)
  AND d.day < CAST(CAST(:end AS timestamptz) AT TIME ZONE 'Europe/Berlin' AS date)
  AND m.closed_at <= CAST(:cutoff AS timestamptz)
