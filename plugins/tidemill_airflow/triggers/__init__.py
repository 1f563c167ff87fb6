"""Triggers: what deferred tasks wait for in Airflow's triggerer."""
