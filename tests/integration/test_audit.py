"""Audit columns: in snapshots, slices and gaps, and never in the model."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tidemill.checking import check_models
from tidemill.errors import SchemaChanged
from tidemill.storage.tables import read_schema

from .data import FEATURES_SQL, SCORED, SPEC, TRAINED, Mill

REMOTE = "CASE WHEN p.n_stops > 0 THEN 'yes' ELSE 'no' END AS remote_area"
FEATURES = FEATURES_SQL.replace("p.express,", f"p.express, {REMOTE},")
DECLARED = SPEC.replace("slices: [carrier]", "slices: [carrier, remote_area]") + "audit: [remote_area]\n"
LIMITED = DECLARED.replace("remote_area]}", "remote_area], gaps: {selection_rate: 0.02}}")


@pytest.fixture(scope="module")
def audited(new_mill: Callable[[], Mill]) -> tuple[Mill, dict[str, dict]]:
    mill = new_mill()
    mill.write(spec=DECLARED + "predict: {reasons: 3}\n", features=FEATURES)
    assert check_models(mill.workspace, [mill.model], source=True) == []
    records = mill.train()
    mill.predict()
    return mill, records


def files_with(folder: Path, word: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def test_an_audit_column_is_in_the_snapshot_and_in_no_file_of_the_model_but_its_card(
    audited: tuple[Mill, dict],
) -> None:
    mill, records = audited
    storage = mill.workspace.storage
    assert "remote_area" in read_schema(storage / records["extract"]["uri"] / "features.parquet").names
    bundle = storage / records["evaluate"]["bundle"]["uri"]
    assert files_with(bundle, "remote_area") == []
    assert files_with(bundle, r"remote\_area=yes") == ["MODEL_CARD.md"]
    assert files_with(storage / records["evaluate"]["uri"], "remote_area") == []


def test_an_audit_column_is_no_reason(audited: tuple[Mill, dict]) -> None:
    mill, _ = audited
    reasons = mill.sql("SELECT reasons::text FROM predictions.{m}")
    assert reasons
    assert not any("remote_area" in text for (text,) in reasons)


def test_gaps_and_slices_of_an_audit_column_are_in_the_evidence(audited: tuple[Mill, dict]) -> None:
    _, records = audited
    evaluation = records["evaluate"]
    gaps = {(gap["name"], gap["slice"]): gap for gap in evaluation["gaps"]}
    assert {of for _, of in gaps} == {"remote_area=yes", "remote_area=no"}
    assert len(gaps) == 10
    # the label rises with n_stops, and so does the score
    assert gaps["gap_selection_rate", "remote_area=yes"]["low"] > 0
    assert any(item["slice"] == "remote_area=yes" for item in evaluation["metrics"])


def test_a_gap_shown_to_be_above_its_limit_is_rejected(audited: tuple[Mill, dict]) -> None:
    mill, _ = audited
    mill.write(spec=LIMITED, features=FEATURES)
    decision = mill.train(SCORED, shown=False)["validate_model"]
    assert decision["verdict"] == "reject"
    assert "selection rate minus that of the other rows" in decision["reasons"][0]


def test_monitoring_measures_gaps_on_matured_labels(audited: tuple[Mill, dict]) -> None:
    mill, _ = audited
    mill.write(spec=DECLARED, features=FEATURES)
    mill.predict("2024-03-26")
    mill.predict("2024-03-27")
    mill.monitor("2024-03-27")
    measured = mill.ledger.metrics(mill.model, "performance", until="2024-03-27")
    figures = {(figure.name, figure.slice) for values in measured.values() for figure in values}
    assert ("gap_error", "remote_area=no") in figures
    assert ("gap_error_recent", "remote_area=no") in figures
    pages = list(mill.workspace.storage.rglob("*.html"))
    assert any("Between groups" in page.read_text() for page in pages)


def test_a_policy_may_deny_to_the_model_what_an_audit_reads(audited: tuple[Mill, dict]) -> None:
    mill, _ = audited
    features = FEATURES.replace("p.n_stops, ", "")
    mill.write(spec=DECLARED + "features: {policy: {denied_columns: [n_stops]}}\n", features=features)
    assert check_models(mill.workspace, [mill.model], source=True) == []


def test_a_query_without_the_audit_column_is_refused(audited: tuple[Mill, dict]) -> None:
    mill, _ = audited
    mill.write(spec=SPEC + "audit: [gender]\n", features=FEATURES)
    with pytest.raises(SchemaChanged, match="gender"):
        mill.extract("train", TRAINED)
