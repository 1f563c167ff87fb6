"""A trial: the steps of a training on a sample, with nothing in the ledger or the storage."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.errors import EmptyPartition
from tidemill.simulation import Past
from tidemill.simulation.trial import Trial, try_model

from .data import FEATURES_SQL, SPEC, TRAINED, Mill


def tried(mill: Mill, folder: Path, n_rows: int = 50_000) -> Trial:
    return try_model(Past(spec=mill.spec, first=TRAINED, last=TRAINED, workspace=mill.workspace), folder, n_rows=n_rows)


def stored(mill: Mill) -> set[Path]:
    return {path for path in mill.workspace.storage.rglob("*") if path.is_file()}


def test_a_trial_without_sampling_has_the_figures_of_the_real_training(mill: Mill, tmp_path: Path) -> None:
    before = stored(mill)
    done = tried(mill, tmp_path / "page")
    assert mill.sql("SELECT count(*) FROM tidemill.run WHERE model = '{m}'") == [(0,)]
    assert stored(mill) == before
    assert (done.finding, done.n_sample) == ("", done.n_source)
    real = mill.train(TRAINED, shown=False)
    assert done.report is not None
    assert done.decision is not None
    assert [(item.name, item.value, item.low) for item in done.report.metrics] == [
        (item["name"], item["value"], item["low"]) for item in real["evaluate"]["metrics"]
    ]
    assert done.decision.verdict.value == real["validate_model"]["verdict"]
    assert done.floor == done.report.metrics[0].low
    assert "<html" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")


def test_a_sample_is_smaller_and_the_same_each_time(mill: Mill, tmp_path: Path) -> None:
    first, second = tried(mill, tmp_path, 900), tried(mill, tmp_path, 900)
    assert first.n_sample < first.n_source
    assert first.n_sample == second.n_sample
    assert abs(first.n_sample - 900) < 75  # four standard errors of a binomial draw from 1,380 rows


def test_a_window_without_rows_says_how_to_choose_another(mill: Mill, tmp_path: Path) -> None:
    mill.write(SPEC.replace(", last: 2024-03-31", ""))
    past = Past(spec=mill.spec, first="2025-06-01", last="2025-06-01", workspace=mill.workspace)
    with pytest.raises(EmptyPartition, match=r"features\.sql returns no row of the training window.* --partition"):
        try_model(past, tmp_path)


def test_a_column_that_predicts_the_label_is_named_and_a_leak_stops_the_trial(mill: Mill, tmp_path: Path) -> None:
    mill.write(features=FEATURES_SQL.replace("p.n_stops,", "p.n_stops, p.late::int AS told,", 1))
    done = tried(mill, tmp_path)
    assert done.decision is not None
    assert "'told' predicts the label by itself" in " ".join(done.decision.reasons)
    planted = "p.n_stops, p.late::int AS told, p.delivered_at AS told_observed_at,"
    mill.write(features=FEATURES_SQL.replace("p.n_stops,", planted, 1))
    answer = CliRunner().invoke(
        app, ["try", mill.model, "--partition", TRAINED], env=mill.environment, catch_exceptions=False
    )
    assert answer.exit_code == 1
    assert "'told'" in answer.output
    assert mill.sql("SELECT count(*) FROM tidemill.run WHERE model = '{m}'") == [(0,)]
