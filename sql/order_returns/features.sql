-- One row for each order of the interval that was in the table at the cutoff, with what was known then about returns.
WITH

past AS MATERIALIZED (
    SELECT store, category, CASE WHEN returned THEN 1.0 ELSE 0.0 END AS returned
    FROM demo_shop.orders
    WHERE ordered_at >= CAST(:cutoff AS timestamptz) - interval '672 hours'
      AND ordered_at < CAST(:cutoff AS timestamptz) - interval '168 hours' -- all of these outcomes are known
      AND outcome_known_at <= CAST(:cutoff AS timestamptz)
)

SELECT
    o.order_id,
    o.ordered_at,
    o.store,
    o.category,
    o.n_items,
    o.amount,
    o.discount,
    o.delivery_days,
    o.new_customer,
    CAST(EXTRACT(hour FROM o.ordered_at AT TIME ZONE 'Europe/Berlin') AS integer) AS hour,
    CAST((SELECT avg(past.returned) FROM past WHERE past.category = o.category) AS double precision) AS category_returns_28d,
    CAST((SELECT avg(past.returned) FROM past WHERE past.store = o.store) AS double precision) AS store_returns_28d
FROM demo_shop.orders AS o
WHERE o.ordered_at >= CAST(:start AS timestamptz)
  AND o.ordered_at < CAST(:end AS timestamptz)
  AND o.loaded_at <= CAST(:cutoff AS timestamptz)
