-- One row for each order of the interval that was in the table at the cutoff, with what was known then about returns.
WITH

past AS MATERIALIZED (
    SELECT store, category, CASE WHEN returned THEN 1.0 ELSE 0.0 END AS returned
    FROM demo_shop.orders
    WHERE ordered_at >= CAST(:cutoff AS timestamptz) - interval '672 hours'
      AND ordered_at < CAST(:cutoff AS timestamptz) - interval '168 hours' -- all of these outcomes are known
      AND outcome_known_at <= CAST(:cutoff AS timestamptz)
),

by_category AS (
    SELECT category, avg(returned) AS returned
    FROM past GROUP BY category
),

by_store AS (
    SELECT store, avg(returned) AS returned
    FROM past GROUP BY store
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
    CAST(by_category.returned AS double precision) AS category_returns_28d,
    CAST(by_store.returned AS double precision) AS store_returns_28d
FROM demo_shop.orders AS o
LEFT JOIN by_category ON by_category.category = o.category
LEFT JOIN by_store ON by_store.store = o.store
WHERE o.ordered_at >= CAST(:start AS timestamptz)
  AND o.ordered_at < CAST(:end AS timestamptz)
  AND o.loaded_at <= CAST(:cutoff AS timestamptz)
