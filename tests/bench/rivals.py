"""Contracts, drift and batch scores compared with what people use for them today: ``make bench-rivals``.

A contract of 25 expectations by Great Expectations on a frame; drift by Evidently's preset, if ``make oracles`` has made
its environment; a batch of predictions by ``mlflow models predict``. Both sides start from the same Parquet file or table.
Imports count only if the rival is a separate program. Times are processor seconds, since the machine may be busy.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tidemill.monitoring.drift import detect_drift
from tidemill.monitoring.profile import build_profile, count_table
from tidemill.spec import Expectation
from tidemill.steps.data.validate_data import _held
from tidemill.storage.tables import read_table

from .flights_scaled import CATEGORICAL, NUMERIC, generate

ORACLES = Path(__file__).parents[2] / ".venv-oracles" / "bin" / "python"
EVIDENTLY = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
reference, analysis = (pd.read_parquet(path) for path in sys.argv[1:])
began = time.process_time()
Report([DataDriftPreset()]).run(analysis, reference).dict()
print(json.dumps(time.process_time() - began))
"""


def processor_s(work: Callable[[], object]) -> float:
    """Return the processor seconds of this process and of programs that it has waited for."""

    def used() -> float:
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    began = used()
    work()
    return used() - began


def rows(n_rows: int, random_state: int, path: Path) -> Path:
    """Write that many invented flights in the format of a snapshot."""
    batches = generate(n_rows, random_state)
    first = next(batches)
    with pq.ParquetWriter(path, first.schema, compression="zstd", write_page_checksum=True) as writer:
        for batch in (first, *batches):
            writer.write_batch(batch)
    return path


def contract() -> tuple[Expectation, ...]:
    """Make 25 expectations of the columns."""
    between = [(name, {"column": name, "min_value": -1e5, "max_value": 1e5}) for name in NUMERIC]
    found = [{"name": "expect_column_values_to_be_between", "arguments": arguments} for _, arguments in between]
    found += [{"name": "expect_column_values_to_not_be_null", "arguments": {"column": name}} for name in NUMERIC[:4]]
    found += [
        {"name": "expect_column_values_to_not_be_null", "arguments": {"column": name}} for name in CATEGORICAL[:3]
    ]
    found += [{"name": "expect_column_value_lengths_to_equal", "arguments": {"column": "dest", "value": 3}}]
    found += [
        {"name": "expect_column_values_to_be_in_set", "arguments": {"column": "origin", "value_set": [*values]}}
        for values in (["EWR", "JFK", "LGA"], ["EWR", "JFK"], ["EWR"])
    ]
    return tuple(Expectation.model_validate(item) for item in found)


def validating(path: Path) -> Iterator[tuple[str, float]]:
    """Check the rows against the contract, by Great Expectations on a frame and by us."""
    from tidemill.contracts import evaluate_contract

    expectations, verdicts = contract(), {}
    evaluate_contract(expectations[:1], read_table(path).slice(0, 100).to_pandas())  # its context, once per process

    def theirs() -> None:
        verdicts["gx"] = evaluate_contract(expectations, read_table(path).to_pandas())

    def ours() -> None:
        verdicts["ours"] = _held(expectations, path)

    yield f"{len(expectations)} expectations, Great Expectations on a frame", processor_s(theirs)
    yield f"{len(expectations)} expectations, Tidemill", processor_s(ours)
    assert [item.success for item in verdicts["gx"]] == [item.success for item in verdicts["ours"]]


def drifting(path: Path, reference: Path) -> Iterator[tuple[str, float]]:
    """Compare with a reference, both in memory."""
    names, table = [*NUMERIC, *CATEGORICAL], read_table(path)
    if ORACLES.exists():
        for side in (path, reference):
            pq.write_table(pa.table(read_table(side).select(names)), side.with_suffix(".plain"))
        plain = [str(side.with_suffix(".plain")) for side in (reference, path)]
        done = subprocess.run([ORACLES, "-c", EVIDENTLY, *plain], capture_output=True, text=True, check=True)
        yield "drift of 18 columns, Evidently's DataDriftPreset", json.loads(done.stdout.splitlines()[-1])
    else:
        sys.stdout.write("skipped: Evidently has no environment; make oracles makes it\n")
    profile = build_profile(read_table(reference), NUMERIC, CATEGORICAL)
    yield "drift of 18 columns, Tidemill", processor_s(lambda: detect_drift(profile, count_table(profile, table)))


def predicting(path: Path, folder: Path, n_rows: int) -> Iterator[tuple[str, float]]:
    """Score the rows of a CSV file with MLflow's program, and those of the snapshot with Tidemill."""
    import mlflow

    from tidemill.modeling.scorer import Scorer
    from tidemill.storage.bundles import load_bundle
    from tidemill.storage.bundles.save import keep_bundle
    from tidemill.storage.tables import read_batches

    from .flights_scaled import real_flights
    from .scene import XGBOOST, fitted

    real = real_flights().dropna(subset=["late"]).sample(20_000, random_state=0)
    (folder / "bundles").mkdir()
    kept, digest = keep_bundle(fitted(XGBOOST, real), folder / "bundles", real.head(50))
    mlflow.pyfunc.save_model(
        folder / "model",
        loader_module="tidemill.storage.bundles.pyfunc_loader",
        data_path=str(kept),
        pip_requirements=[],
    )
    names = [*NUMERIC, *CATEGORICAL]
    read_table(path).select(names).slice(0, n_rows).to_pandas().to_csv(folder / "rows.csv", index=False)
    program = [
        sys.executable, "-m", "mlflow", "models", "predict", "--model-uri", str(folder / "model"), "--content-type", "csv",
        "--input-path", str(folder / "rows.csv"), "--output-path", str(folder / "scores.json"), "--env-manager", "local",
    ]  # fmt: skip

    def ours() -> None:
        scorer = Scorer.of(load_bundle(kept, digest))
        for batch in read_batches(path, names, 16_384, 0, n_rows):
            scorer.score(batch)

    yield (
        f"{n_rows:,} scores, mlflow models predict on CSV",
        processor_s(lambda: subprocess.run(program, capture_output=True, check=True)),
    )
    yield f"{n_rows:,} scores, Tidemill from its snapshot", processor_s(ours)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, reference = (rows(options.rows, seed, folder / f"{seed}.parquet") for seed in (1, 2))
        n_scored = min(100_000, options.rows)
        for job in (validating(path), drifting(path, reference), predicting(path, folder, n_scored)):
            for said, seconds in job:
                sys.stdout.write(f"{options.rows:,} rows, {said}: {seconds:.2f} s of processor\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
