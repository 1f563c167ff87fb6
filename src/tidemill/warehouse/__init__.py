"""Postgres: connections, migrations, bulk read and write, and the ledger's queries.

Nothing here fits a model or makes a decision.
"""
