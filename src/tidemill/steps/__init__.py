"""The steps, in folders named like the DAGs that run them.

Each step reads, calls pure functions, writes, and returns a record. ``runtime`` runs and records them.
"""
