-- One row for each customer of the day, as loaded in its early morning. The key recurs every day.
SELECT
    customer_id,
    CAST(day AS timestamp) AT TIME ZONE 'Europe/Berlin' AS scored_day,
    tariff,
    fee,
    months_as_customer,
    gb_7d,
    calls_7d,
    support_calls_30d,
    late_payments_90d,
    days_since_login
FROM demo_network.customer_day
WHERE day >= CAST(CAST(:start AS timestamptz) AT TIME ZONE 'Europe/Berlin' AS date)
  AND day < CAST(CAST(:end AS timestamptz) AT TIME ZONE 'Europe/Berlin' AS date)
  AND (day + time '04:00') AT TIME ZONE 'Europe/Berlin' <= CAST(:cutoff AS timestamptz)
