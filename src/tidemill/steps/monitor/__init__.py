"""Steps of the monitor chain: measure a published partition, update alerts, and write the daily page."""
