"""Steps of the monitor chain: measure a published partition, settle alerts, and write the daily page."""
