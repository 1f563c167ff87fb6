"""What training spends beside the fit: reading, aligning and encoding a million rows: ``python -m tests.bench.training``.

The question is whether encoded features should be kept as a matrix that all candidates share.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tidemill.modeling.alignment import align
from tidemill.modeling.estimators.boosting import HIST_GRADIENT_BOOSTING, XGBOOST
from tidemill.modeling.estimators.recipes import Training
from tidemill.modeling.schema import FeatureSchema
from tidemill.storage.tables import read_table

from .flights_scaled import CATEGORICAL, NUMERIC, generate

ROUNDS = 200  # boosting rounds; the example's early stopping ends between 100 and 300
CANDIDATES = {
    "xgboost": (XGBOOST, "codes", {"n_rounds": ROUNDS}),
    "hist_gradient_boosting": (HIST_GRADIENT_BOOSTING, "rates", {"max_iter": ROUNDS}),
}
SCHEMA = FeatureSchema(numeric=NUMERIC, categorical=CATEGORICAL)


@contextmanager
def watched(parts: dict[str, float], name: str) -> Iterator[None]:
    """Add up the processor seconds of a block."""
    began = time.process_time()
    yield
    parts[name] = parts.get(name, 0.0) + time.process_time() - began


def shares(path: Path, candidate: str) -> dict[str, float]:
    """Return the processor seconds of each part of one candidate's training."""
    recipe, encoding, parameters = CANDIDATES[candidate]
    parts: dict[str, float] = {}
    with watched(parts, "read"):
        frame = read_table(path).to_pandas()
    with watched(parts, "align"):
        X = align(frame, SCHEMA)
    signal = X["departure_minute"].fillna(0) / 1440 + X["humid"].fillna(60) / 200
    y = (np.random.default_rng(0).random(len(X)) < signal / 2).astype(int).to_numpy()
    training = Training(
        task="binary",
        schema=SCHEMA,
        X=X,
        y=y,
        X_validation=X.head(0),
        y_validation=y[:0],
        n_classes=2,
        random_state=0,
        n_threads=2,
        parameters=parameters,
        metric="roc_auc",
    )
    with watched(parts, "encode"):
        training.encoded(encoding)
    with watched(parts, "fit"):
        recipe.fit(training)
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.parquet"
        batches = generate(options.rows)
        first = next(batches)
        with pq.ParquetWriter(path, first.schema, compression="zstd", write_page_checksum=True) as writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)
        for candidate in CANDIDATES:
            parts = shares(path, candidate)
            total = sum(parts.values())
            said = ", ".join(f"{name} {seconds:.1f} s ({seconds / total:.0%})" for name, seconds in parts.items())
            sys.stdout.write(f"{options.rows:,} rows, {candidate}, {ROUNDS} rounds: {said}\n")


if __name__ == "__main__":
    main()
