-- The table of the shop's orders, replaced as a whole; orders.py fills it in the same transaction.
CREATE SCHEMA IF NOT EXISTS demo_shop;
DROP TABLE IF EXISTS demo_shop.orders;
CREATE TABLE demo_shop.orders (
    order_id         text PRIMARY KEY,
    store            text NOT NULL,
    ordered_at       timestamptz NOT NULL,
    loaded_at        timestamptz NOT NULL,
    category         text NOT NULL,
    n_items          integer NOT NULL,
    amount           double precision NOT NULL,
    discount         double precision NOT NULL,
    delivery_days    integer NOT NULL,
    new_customer     boolean NOT NULL,
    returned         boolean NOT NULL,
    outcome_known_at timestamptz NOT NULL
);
COMMENT ON COLUMN demo_shop.orders.order_id IS 'Day, store and number.';
COMMENT ON COLUMN demo_shop.orders.store IS 'One of ten stores.';
COMMENT ON COLUMN demo_shop.orders.ordered_at IS 'When the customer ordered.';
COMMENT ON COLUMN demo_shop.orders.loaded_at IS 'When the order was in this table, at most 15 minutes later.';
COMMENT ON COLUMN demo_shop.orders.category IS 'What was ordered.';
COMMENT ON COLUMN demo_shop.orders.n_items IS 'Number of items.';
COMMENT ON COLUMN demo_shop.orders.amount IS 'Sum of the order in euros.';
COMMENT ON COLUMN demo_shop.orders.discount IS 'Discount, a share of the price from 0 to 0.5.';
COMMENT ON COLUMN demo_shop.orders.delivery_days IS 'Days that the delivery was said to take.';
COMMENT ON COLUMN demo_shop.orders.new_customer IS 'Whether it is the customer''s first order.';
COMMENT ON COLUMN demo_shop.orders.returned IS 'Whether the order was sent back within a week.';
COMMENT ON COLUMN demo_shop.orders.outcome_known_at IS 'When that was known: the return, or a week after the order.';
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'tidemill_reader') THEN
        GRANT USAGE ON SCHEMA demo_shop TO tidemill_reader;
        GRANT SELECT ON demo_shop.orders TO tidemill_reader;
    END IF;
END $$;
