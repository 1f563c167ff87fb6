"""Alerts: which figures a person should look at, what each family of rules means, and when an alert opens or resolves.

Pure functions. The ledger keeps alerts and the outbox (``warehouse/alerts``); the monitor chain connects the two.
"""
