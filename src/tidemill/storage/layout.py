"""Names of files and columns in the folders that steps write and read."""

__all__ = [
    "FEATURES",
    "GROUP_ROWS",
    "LABELS",
    "PARTITION",
    "QUARANTINE",
    "REFERENCE",
    "SAMPLE_ROWS",
    "SCORE",
    "TARGET",
    "WEIGHT",
]

FEATURES, LABELS = "features.parquet", "labels.parquet"
"""Files of a snapshot."""
QUARANTINE = "quarantine.parquet"
"""File of a snapshot from which rows were set aside: a record per row and expectation that it breaks."""
PARTITION = "__partition"
"""Column of a training snapshot: key of the partition that a row was made for."""
GROUP_ROWS = 32_768
"""Rows per row group: each describes every column, and much smaller groups cost a tenth more to read."""
TARGET = "__y"
"""Column of a split: 1 for the positive class and 0 for others; the class; or the number."""
WEIGHT = "__weight"
"""Column of a split: how often a row counts, above 0; only for a spec with ``weight``."""
SAMPLE_ROWS = 200_000
"""Rows that are enough for baselines and a search, where not all rows are in memory, and for the inspection of a run."""
REFERENCE = "reference.json"
"""File of an evaluation: profiles of the train set's features and of the test set's scores, for monitoring."""
SCORE = "score"
"""Column and profile name of a model's scores."""
