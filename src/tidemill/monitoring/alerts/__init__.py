"""Alerts: which figures need attention, what each rule family means, and when an alert opens or resolves.

Pure functions. The ledger keeps alerts and the outbox (``warehouse/alerts``); the monitor chain connects the two.
"""
