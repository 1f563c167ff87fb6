"""From a file or a table to a model: load a file, profile a table, guess a spec, and write its files.

The guesses are pure functions of a table's profile; only ``loading`` and ``profile`` ask Postgres.
"""
