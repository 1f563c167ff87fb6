"""Alerts and the outbox of messages about them."""
