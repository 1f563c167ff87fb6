"""The modeling room: from aligned features to scores, figures and a verdict.

Pure functions on arrays and frames. Nothing here reads a file, a database or the clock: ``storage``
keeps bundles, ``steps`` fetch and record.
"""
