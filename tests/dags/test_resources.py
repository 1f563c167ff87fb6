"""Queues, pools and pods by kind of DAG: set by the environment, and no DAG file knows of it."""

from typing import Any

import pytest

from tidemill.errors import SettingsError
from tidemill_airflow.resources import KINDS, task_arguments

from .conftest import PROJECT, Described, describe

BASE = {"name": "base"}


@pytest.fixture(scope="module")
def placed() -> Described:
    return describe(
        PROJECT / "dags" / "models",
        TIDEMILL_TRAIN_CPU="4",
        TIDEMILL_TRAIN_MEMORY="16Gi",
        TIDEMILL_PREDICT_MEMORY="4Gi",
        TIDEMILL_PREDICT_QUEUE="daily",
        TIDEMILL_TRAIN_POOL="trainings",
        TIDEMILL_DEFAULT_QUEUE="celery",
        TIDEMILL_REGISTER_QUEUE="deciding",
    )


def told(described: Described, verb: str, key: str) -> list[Any]:
    tasks = described["dags"][f"flight_delays_{verb}"]["tasks"].values()
    found: list[Any] = []
    return [found.append(task[key]) or task[key] for task in tasks if task[key] not in found]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in KINDS:
        for name in ("QUEUE", "POOL", "CPU", "MEMORY"):
            monkeypatch.delenv(f"TIDEMILL_{kind.upper()}_{name}", raising=False)


def test_without_settings_a_kind_has_a_queue_of_its_own_and_no_pod(described: Described) -> None:
    assert {verb: told(described, verb, "queue") for verb in ("train", "predict", "monitor", "retrain")} == {
        "train": ["train", "register"],
        "predict": ["predict"],
        "monitor": ["default"],
        "retrain": ["default"],
    }
    assert told(described, "train", "pod") == [None]


def test_queues_and_pools_follow_their_settings(placed: Described) -> None:
    assert placed["errors"] == {}
    assert told(placed, "predict", "queue") == ["daily"]
    assert told(placed, "monitor", "queue") == ["celery"]
    assert (told(placed, "train", "pool"), told(placed, "predict", "pool")) == (["trainings"], ["default_pool"])
    tasks = placed["dags"]["tidemill_maintenance"]["tasks"]
    assert {name: task["queue"] for name, task in tasks.items()} == {
        "collect_garbage": "deciding",
        "doctor": "deciding",
        "send_alerts": "celery",
    }


def test_only_what_decides_about_releases_waits_for_a_worker_with_the_promoters_password(described: Described) -> None:
    found = {
        (dag, name)
        for dag, content in described["dags"].items()
        for name, task in content["tasks"].items()
        if task["queue"] == "register"
    }
    of_models = {(dag.rpartition("_")[2], name) for dag, name in found if dag != "tidemill_maintenance"}
    assert of_models == {("train", "register"), ("rollback", "roll_back"), ("act", "act")}


def test_every_task_of_a_kind_has_the_pod_of_its_settings_mapped_ones_too(placed: Described) -> None:
    asked = {"requests": {"cpu": "4", "memory": "16Gi"}, "limits": {"memory": "16Gi"}}
    assert told(placed, "train", "pod") == [{"spec": {"containers": [BASE | {"resources": asked}]}}]
    asked = {"requests": {"memory": "4Gi"}, "limits": {"memory": "4Gi"}}
    assert told(placed, "predict", "pod") == [{"spec": {"containers": [BASE | {"resources": asked}]}}]
    assert told(placed, "monitor", "pod") == [None]


def test_a_pod_of_ours_is_laid_over_that_of_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    monkeypatch.setenv("TIDEMILL_TRAIN_MEMORY", "16Gi")
    base = PodGenerator.deserialize_model_dict(
        {"spec": {"containers": [{"name": "base", "image": "mill:1", "resources": {"limits": {"memory": "1Gi"}}}]}}
    )
    pod = PodGenerator.reconcile_pods(base, PodGenerator.from_obj(task_arguments("train")["executor_config"]))
    (container,) = pod.spec.containers
    assert (container.image, container.resources.limits) == ("mill:1", {"memory": "16Gi"})


@pytest.mark.parametrize(
    ("name", "value"), [("MEMORY", "16 GB"), ("CPU", "four"), ("QUEUE", "a,b"), ("POOL", "{{ x }}")]
)
def test_a_malformed_setting_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TIDEMILL_TRAIN_{name}", value)
    with pytest.raises(SettingsError, match=f"TIDEMILL_TRAIN_{name} is "):
        task_arguments("train")
