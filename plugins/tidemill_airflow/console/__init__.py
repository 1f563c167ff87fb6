"""The console: an app below Airflow's API server, and what Airflow knows that the ledger does not."""
