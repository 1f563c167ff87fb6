-- Whether the orders of the interval were sent back, as far as known at the cutoff.
SELECT order_id, returned, outcome_known_at AS observed_at
FROM demo_shop.orders
WHERE ordered_at >= CAST(:start AS timestamptz)
  AND ordered_at < CAST(:end AS timestamptz)
  AND outcome_known_at <= CAST(:cutoff AS timestamptz)
