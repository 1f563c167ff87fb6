"""Explaining a published row: to the published bits, or not at all."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.errors import ArtifactCorrupt, ExplanationFailed, NotPublished
from tidemill.operations.explain import explain_row

from .data import SCORED, SPEC, Mill

ROW = "20240325-007"


@pytest.fixture(scope="module")
def published(new_mill: Any, trained_mill: Any) -> Mill:
    """A model that stores two reasons a row, with a published partition."""
    mill = new_mill()
    mill.write(SPEC + "predict: {reasons: 2}\n")
    mill.adopt(trained_mill[1])
    mill.predict()
    return mill


def test_score_is_the_published_one_and_the_sum_of_its_parts(published: Mill) -> None:
    row = explain_row(published.workspace, published.spec, ROW, SCORED)
    assert [(ROW, row.score)] == [pair for pair in published.view() if pair[0] == ROW]
    assert row.base + sum(part.contribution for part in row.parts) == pytest.approx(row.total)


def test_features_come_with_raw_value_and_encoding(published: Mill) -> None:
    row = explain_row(published.workspace, published.spec, ROW, SCORED)
    carrier = next(part for part in row.parts if part.feature == "carrier")
    assert carrier.encoded == {f"carrier_{carrier.raw}": 1.0}


def test_missing_value_is_reported(published: Mill) -> None:
    row = explain_row(published.workspace, published.spec, "20240325-020", SCORED)
    n_parcels = next(part for part in row.parts if part.feature == "n_parcels")
    assert n_parcels.raw is None
    assert "missingindicator_n_parcels" in n_parcels.encoded


def test_stored_reasons_are_the_greatest_parts(published: Mill) -> None:
    row = explain_row(published.workspace, published.spec, ROW, SCORED)
    stored = [(reason["feature"], reason["contribution"]) for reason in row.answer["reasons"]]
    assert stored == [(part.feature, pytest.approx(part.contribution, rel=1e-5)) for part in row.parts[:2]]


def test_every_row_has_its_reasons(published: Mill) -> None:
    found = published.view(columns="reasons")
    assert {len(reasons) for (reasons,) in found} == {2}


def test_row_that_is_not_published_is_reported(published: Mill) -> None:
    with pytest.raises(NotPublished, match="'nobody'"):
        explain_row(published.workspace, published.spec, "nobody", SCORED)


def test_published_score_that_does_not_come_out_again_is_refused(serving: Mill) -> None:
    serving.predict()
    ((number,),) = serving.sql(
        "SELECT prediction_run_id FROM tidemill.published WHERE model = '{m}' AND partition = %s", SCORED
    )
    serving.sql(f"UPDATE tidemill.prediction_run_{number} SET score = score / 2 WHERE entity_key = %s", ROW)
    with pytest.raises(ExplanationFailed, match="was published"):
        explain_row(serving.workspace, serving.spec, ROW, SCORED)


def test_snapshot_that_has_changed_is_refused(serving: Mill) -> None:
    prediction = serving.predict()
    path = serving.workspace.storage / prediction["extract"]["uri"] / "features.parquet"
    before = path.read_bytes()
    path.write_bytes(before[:-1] + b"x")
    try:
        with pytest.raises(ArtifactCorrupt):
            explain_row(serving.workspace, serving.spec, ROW, SCORED)
    finally:
        path.write_bytes(before)  # mills share a storage


def test_command_shows_parts_sum_and_that_it_is_equal(published: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = published.workspace
    for name, value in {
        "TIDEMILL_MODELS": workspace.models,
        "TIDEMILL_SQL": workspace.sql,
        "TIDEMILL_STORAGE": workspace.storage,
        "TIDEMILL_CONN_TIDEMILL": workspace.connection("tidemill"),
        "COLUMNS": "200",
    }.items():
        monkeypatch.setenv(name, str(value))
    done = CliRunner().invoke(app, ["explain", published.model, ROW, "--partition", SCORED])
    assert done.exit_code == 0, done.output
    assert "equal to the published one" in done.output
    ((score, reasons),) = published.sql(
        f"SELECT score, reasons::text FROM predictions.{published.model} WHERE parcel_id = %s", ROW
    )
    assert repr(score) in done.output
    assert json.loads(reasons)[0]["feature"] in done.output
