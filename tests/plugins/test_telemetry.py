"""What watchers are told: figures by name, lines with model and partition, and a dashboard that asks for what there is."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import structlog
from airflow.sdk.log import logging_processors

from tidemill_airflow.telemetry import METRICS, figures, lines_of, name_partition

PROJECT = Path(__file__).parents[2]
BOARD: dict[str, Any] = json.loads((PROJECT / "docker" / "grafana-dashboard.json").read_text(encoding="utf-8"))
QUERIES = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
ASKED = [*QUERIES, *(item["query"] for item in BOARD["templating"]["list"])]


def names(record: dict[str, Any]) -> dict[str, float]:
    return {"".join([name, *tags.values()]): value for name, value, tags in figures(record, 2.0)}


def test_every_step_tells_seconds_and_memory() -> None:
    found = names({})
    assert found.keys() == {"tidemill.seconds", "tidemill.peak_rss_bytes"}
    assert found["tidemill.peak_rss_bytes"] > 2**20


def test_rows_alerts_and_ages_are_reported_by_the_steps_that_know_them() -> None:
    found = names({"n_rows": 60, "n_open": 2, "ages": {"model": 1.5, "labels": "Infinity"}})
    assert {"tidemill.rows": 60, "tidemill.alerts_open": 2, "tidemill.age_daysmodel": 1.5}.items() <= found.items()
    assert "tidemill.age_dayslabels" not in found
    assert {name for name, *_ in figures({"n_rows": 1, "n_open": 0, "ages": {"data": 0.0}}, 1.0)} == METRICS.keys()


def line() -> dict[str, Any]:
    """Log one line as Airflow does into the log of a task."""
    written = io.BytesIO()
    structlog.wrap_logger(
        structlog.BytesLogger(written), processors=logging_processors(json_output=True), logger_name="task"
    ).info("scored")
    found: dict[str, Any] = json.loads(written.getvalue())
    return found


def test_a_line_of_a_task_has_model_step_and_partition() -> None:
    with lines_of("parcels", "predict"):
        assert line().items() >= {"model": "parcels", "step": "predict", "partition": ""}.items()
        name_partition("2024-03-25")
        told = line()
    assert told.items() >= {"event": "scored", "model": "parcels", "step": "predict", "partition": "2024-03-25"}.items()


def test_after_a_task_nothing_is_left_on_other_lines() -> None:
    with lines_of("parcels", "predict"):
        name_partition("2024-03-25")
    assert not {"model", "step", "partition"} & line().keys()


def test_the_dashboard_asks_for_figures_that_exist_and_for_all_of_them() -> None:
    asked = {name for query in ASKED for name in re.findall(r"\bairflow_\w+", query)}
    assert asked == {"airflow_" + name.replace(".", "_") for name in METRICS}


def test_the_dashboard_groups_by_tags_that_exist() -> None:
    tags = {tag for query in QUERIES for group in re.findall(r"by \(([^)]*)\)", query) for tag in group.split(", ")}
    assert tags == {"model", "step", "of"}


@pytest.mark.parametrize("panel", BOARD["panels"], ids=lambda panel: panel["title"])
def test_a_panel_has_a_unit_a_place_and_a_query_for_the_chosen_models(panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["gridPos"].keys() == {"h", "w", "x", "y"}
    assert all('{model=~"$model"}' in target["expr"] for target in panel["targets"])


def test_panels_do_not_share_a_number_or_a_place() -> None:
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]}) == len(BOARD["panels"])


def test_the_page_names_every_figure() -> None:
    page = (PROJECT / "docs" / "operate" / "alerts.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `airflow\.(tidemill\.\w+)` \|", page, re.MULTILINE)) == METRICS.keys()
