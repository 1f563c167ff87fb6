-- The tables of the network's customers, replaced as a whole; customers.py fills them in the same transaction.
CREATE SCHEMA IF NOT EXISTS demo_network;
DROP TABLE IF EXISTS demo_network.customer_day, demo_network.customer_month;
CREATE TABLE demo_network.customer_day (
    customer_id        text NOT NULL,
    day                date NOT NULL,
    tariff             text NOT NULL,
    fee                double precision NOT NULL,
    months_as_customer integer NOT NULL,
    gb_7d              double precision NOT NULL,
    calls_7d           integer NOT NULL,
    support_calls_30d  integer NOT NULL,
    late_payments_90d  integer NOT NULL,
    days_since_login   integer NOT NULL,
    PRIMARY KEY (day, customer_id)
);
CREATE TABLE demo_network.customer_month (
    customer_id text NOT NULL,
    month       date NOT NULL,
    churned     boolean NOT NULL,
    closed_at   timestamptz NOT NULL,
    PRIMARY KEY (month, customer_id)
);
COMMENT ON COLUMN demo_network.customer_day.customer_id IS 'A customer has a row on each day.';
COMMENT ON COLUMN demo_network.customer_day.day IS 'Day in Berlin; its rows are loaded at 04:00.';
COMMENT ON COLUMN demo_network.customer_day.tariff IS 'One of three tariffs.';
COMMENT ON COLUMN demo_network.customer_day.fee IS 'Euros per month.';
COMMENT ON COLUMN demo_network.customer_day.months_as_customer IS 'Whole months since the contract began.';
COMMENT ON COLUMN demo_network.customer_day.gb_7d IS 'Gigabytes in the last 7 days.';
COMMENT ON COLUMN demo_network.customer_day.calls_7d IS 'Calls in the last 7 days.';
COMMENT ON COLUMN demo_network.customer_day.support_calls_30d IS 'Calls to the support in the last 30 days.';
COMMENT ON COLUMN demo_network.customer_day.late_payments_90d IS 'Payments that were late in the last 90 days.';
COMMENT ON COLUMN demo_network.customer_day.days_since_login IS 'Days since the customer last opened the app.';
COMMENT ON TABLE demo_network.customer_month IS 'A customer in a month; invented.';
COMMENT ON COLUMN demo_network.customer_month.customer_id IS 'The customer.';
COMMENT ON COLUMN demo_network.customer_month.month IS 'First day of the month.';
COMMENT ON COLUMN demo_network.customer_month.churned IS 'Whether the customer left at the end of the month.';
COMMENT ON COLUMN demo_network.customer_month.closed_at IS 'When that was known: on the first of the next month, at 06:00.';
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'tidemill_reader') THEN
        GRANT USAGE ON SCHEMA demo_network TO tidemill_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA demo_network TO tidemill_reader;
    END IF;
END $$;
