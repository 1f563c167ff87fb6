"""Postgres: connections, migrations, bulk read and write, and the ledger's queries.

No model is fitted and no decision is taken here.
"""
