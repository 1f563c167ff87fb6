"""The asset events of the DAGs as they are shipped, run by Airflow itself: of what has changed, and of nothing else."""

from typing import Any

import pytest

from .conftest import DagRun
from .data import SCORED, SPEC, TRAINED, Mill


def test_a_published_partition_is_an_event_with_its_key_and_what_was_published(serving: Mill, dag_run: DagRun) -> None:
    (event,) = dag_run("predict", serving, partition=SCORED)["events"]
    release, rows, checksum = serving.sql(
        "SELECT release_id, n_rows, checksum FROM tidemill.published JOIN tidemill.prediction_run USING (prediction_run_id)"
        " WHERE published.model = '{m}'"
    )[0]
    assert event == {
        "asset": f"{serving.model}_predictions",
        "partition_key": SCORED,
        "extra": {"partition": SCORED, "release": release, "rows": rows, "digest": checksum},
    }


def test_a_dry_run_of_a_prediction_is_no_event(serving: Mill, dag_run: DagRun) -> None:
    ended = dag_run("predict", serving, partition=SCORED, dry_run=True)
    assert (ended["state"], ended["events"]) == ("success", [])


@pytest.mark.parametrize("accept", ["minimum: 0.6", "minimum: 0.99"])
def test_a_training_is_an_event_only_if_its_model_was_promoted(mill: Mill, dag_run: DagRun, accept: str) -> None:
    assert "minimum: 0.6" in SPEC
    mill.write(spec=SPEC.replace("minimum: 0.6", accept))
    ended = dag_run("train", mill, partition=TRAINED)
    assert ended["state"] == "success"
    champion = mill.promoter.champion(mill.model)
    assert (champion is None) == (accept == "minimum: 0.99")
    assert ended["events"] == (
        []
        if champion is None
        else [
            {
                "asset": f"{mill.model}_champion",
                "partition_key": TRAINED,
                "extra": {
                    "partition": TRAINED,
                    "release": champion.release_id,
                    "rows": champion.evidence["n_test"],
                    "digest": champion.bundle_digest,
                },
            }
        ]
    )


def test_a_rollback_is_an_event_of_the_champion_and_of_each_partition_taken_back(
    serving: Mill, trained_mill: tuple[Mill, dict[str, dict[str, Any]]], dag_run: DagRun
) -> None:
    champion = serving.promoter.champion(serving.model)
    assert champion is not None
    newer = serving.register(trained_mill[1], SCORED)
    serving.promote(newer, champion.release_id, SCORED)
    assert serving.predict()["publish"]["release_id"] == newer
    ended = dag_run("rollback", serving, republish_from=SCORED, republish_to=SCORED, reason="For a test.")
    assert ended["state"] == "success", ended["log"]
    found = {event["asset"]: (event["partition_key"], event["extra"]["release"]) for event in ended["events"]}
    assert found == {
        f"{serving.model}_champion": (TRAINED, champion.release_id),
        f"{serving.model}_predictions": (SCORED, champion.release_id),
    }


def test_a_promotion_from_the_console_is_an_event_of_the_champion(
    serving: Mill, trained_mill: tuple[Mill, dict[str, dict[str, Any]]], dag_run: DagRun
) -> None:
    newer = serving.register(trained_mill[1], SCORED)
    ended = dag_run("act", serving, action="promote", release=newer, reason="For a test.")
    assert ended["state"] == "success", ended["log"]
    champion = serving.promoter.champion(serving.model)
    assert champion is not None
    assert champion.release_id == newer
    assert [(event["asset"], event["extra"]["release"]) for event in ended["events"]] == [
        (f"{serving.model}_champion", newer)
    ]
