"""The values for Airflow's Helm chart agree with the code and the pages about them; no cluster is contacted."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidemill.workspace import LEDGER, PROMOTER, SOURCE
from tidemill_airflow.resources import KINDS, task_arguments

DEPLOY = Path(__file__).parents[1] / "docs" / "deploy"
VALUES: dict[str, Any] = yaml.safe_load((DEPLOY / "values.yaml").read_text(encoding="utf-8"))
PAGE = (DEPLOY / "kubernetes.md").read_text(encoding="utf-8")
ENVIRONMENT: dict[str, str] = {item["name"]: item["value"] for item in VALUES["env"]}
POD = VALUES["workers"]["kubernetes"]


def test_settings_of_resources_are_those_that_the_code_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {name: value for name, value in ENVIRONMENT.items() if re.search(r"_(QUEUE|POOL|CPU|MEMORY)$", name)}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    memory = {}
    for kind in KINDS:
        (container,) = task_arguments(kind)["executor_config"]["pod_override"].spec.containers
        memory[f"TIDEMILL_{kind.upper()}_MEMORY"] = container.resources.limits["memory"]
    assert memory.items() <= settings.items()
    assert len(settings) == 2 * len(KINDS)


def test_only_the_pods_of_tasks_are_given_the_warehouse() -> None:
    wanted = {f"AIRFLOW_CONN_{name.upper()}" for name in (SOURCE, LEDGER, PROMOTER)}
    assert {item["name"] for item in POD["env"]} == wanted
    assert wanted & ENVIRONMENT.keys() == set()


def test_no_value_is_a_password() -> None:
    assert all("value" not in item for item in POD["env"])
    text = (DEPLOY / "values.yaml").read_text(encoding="utf-8")
    assert not re.search(r"(?i)pass(word)?:|://[^/@\s\"]*:[^/@\s\"]+@", text)


def test_the_chart_makes_no_user() -> None:
    assert VALUES["createUserJob"] == {"defaultUser": {"enabled": False}}


def test_every_command_says_in_which_namespace() -> None:
    commands = re.findall(r"^(?:kubectl|helm upgrade) .*", PAGE, re.M)
    assert len(commands) >= 5
    assert [line for line in commands if "--namespace mill" not in line] == ["kubectl create namespace mill"]


def test_every_secret_that_is_named_is_one_that_the_page_makes() -> None:
    table = {
        row[0]: set(re.findall(r"`([^`]+)`", row[1])) for row in re.findall(r"^\| `([a-z-]+)` \| (.*?) \|", PAGE, re.M)
    }
    named = {VALUES["data"]["metadataSecretName"]} | {VALUES[key] for key in VALUES if key.endswith("SecretName")}
    named |= {item["secretRef"]["name"] for item in yaml.safe_load(VALUES["extraEnvFrom"])}
    named |= {item["valueFrom"]["secretKeyRef"]["name"] for item in POD["env"]}
    assert named | {"tidemill-owner"} == table.keys()
    assert {item["valueFrom"]["secretKeyRef"]["key"] for item in POD["env"]} == table["tidemill-connections"]


def test_the_cache_is_a_volume_of_the_pod() -> None:
    assert ENVIRONMENT["TIDEMILL_CACHE"] == POD["extraVolumeMounts"][0]["mountPath"]
    assert [item["name"] for item in POD["extraVolumes"]] == [item["name"] for item in POD["extraVolumeMounts"]]


def test_nobody_reports_to_anybody() -> None:
    assert ENVIRONMENT["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_airflow_is_of_a_version_that_the_package_takes() -> None:
    from importlib import metadata

    from packaging.requirements import Requirement

    (needed,) = [
        Requirement(line) for line in metadata.requires("tidemill") or [] if re.match(r"apache-airflow[<>=]", line)
    ]
    assert needed.specifier.contains(VALUES["airflowVersion"])
    assert f"FROM apache/airflow:{VALUES['airflowVersion']}-" in PAGE


def test_the_migration_job_logs_in_only_as_the_owner() -> None:
    job = yaml.safe_load(re.findall(r"```yaml\n(# migrate.yaml.*?)```", PAGE, re.DOTALL)[0])
    (container,) = job["spec"]["template"]["spec"]["containers"]
    image = VALUES["images"]["airflow"]
    assert container["command"] == [
        "tidemill",
        "migrate",
    ]  # of arguments the image would make "airflow tidemill migrate"
    assert container["image"] == f"{image['repository']}:{image['tag']}"
    assert container["envFrom"] == [{"secretRef": {"name": "tidemill-owner"}}]
