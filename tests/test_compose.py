"""The compose profile is fit for a server on a network; nothing here starts a container."""

import re
import runpy
import shlex
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidemill import __version__
from tidemill.machine.ports import free_port
from tidemill.runtime.declarations import STEPS
from tidemill.runtime.limits import execution_timeout
from tidemill_airflow.resources import QUEUES
from tidemill_airflow.retry import DEFAULT_ARGS

PROJECT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"].startswith("tidemill:"))
FOREIGN = sorted(set(SERVICES) - set(OURS))
WORKERS = ("worker", "trainer", "registrar")
PASSING = ("init", "tools")  # run to their end
DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")


def environment(name: str) -> dict[str, str]:
    return SERVICES[name].get("environment", {})


def secrets_of(name: str) -> set[str]:
    return set(SERVICES[name].get("secrets", []))


def scheduling(name: str) -> int:
    return int(environment("scheduler")[f"AIRFLOW__{name}"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_published_port_is_on_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", ["postgres", "redis", *WORKERS, "scheduler"])
def test_only_pages_are_published(name: str) -> None:
    assert "ports" not in SERVICES[name]


def test_flower_is_given_the_login_without_a_line_break(tmp_path: Path) -> None:
    (tmp_path / "flower_auth").write_text("admin:0123abcd\n")
    command = environment("flower")["AIRFLOW__CELERY__FLOWER_BASIC_AUTH_CMD"].replace("$$", "$")
    asked = shlex.split(command.replace("/run/secrets", str(tmp_path)))  # as Airflow does, without a shell
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "admin:0123abcd"


@pytest.mark.parametrize("name", FOREIGN)
def test_images_are_named_with_their_version(name: str) -> None:
    assert re.fullmatch(r"[a-z]+:\d+", SERVICES[name]["image"])


@pytest.mark.parametrize("name", OURS)
def test_our_image_is_named_with_the_codes_version(name: str) -> None:
    assert SERVICES[name]["image"] == f"tidemill:{__version__}"


def test_the_image_is_built_on_a_version() -> None:
    assert re.search(r"^FROM python:3\.\d+-slim$", DOCKERFILE, re.M)


def test_the_image_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.M) == ["tidemill"]


def test_packages_of_the_image_are_checked_against_the_lock() -> None:
    assert "--require-hashes --requirement requirements.txt" in DOCKERFILE


def test_another_commit_does_not_install_the_packages_again() -> None:
    assert DOCKERFILE.index("pip install") < DOCKERFILE.index("COPY src") < DOCKERFILE.index("ARG CODE_VERSION")


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_can_change_nothing_but_its_volumes(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_service_of_others_can_change_nothing_but_its_volumes_and_its_memory(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_only_the_database_keeps_capabilities_to_become_its_own_account() -> None:
    kept = {name: set(service["cap_add"]) for name, service in SERVICES.items() if "cap_add" in service}
    assert kept == {"postgres": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}}
    assert SERVICES["redis"]["user"] == "redis"


@pytest.mark.parametrize("name", SERVICES)
def test_only_the_register_queues_worker_and_people_can_promote(name: str) -> None:
    may = name in ("registrar", "tools", "postgres")
    assert ("tidemill_promoter.pgpass" in secrets_of(name)) is may
    assert any("PROMOTER" in key for key in environment(name)) is (may and name != "postgres")


def test_the_register_queue_has_a_worker_of_its_own() -> None:
    listening = {name: SERVICES[name]["command"][-1].split(",") for name in WORKERS}
    assert [name for name, queues in listening.items() if "register" in queues] == ["registrar"]
    assert {queue for queues in listening.values() for queue in queues} == set(QUEUES)


@pytest.mark.parametrize("name", SERVICES)
def test_mlflows_login_is_where_mlflow_is_used_and_nowhere_else(name: str) -> None:
    uses = name in (*WORKERS, "tools", "mlflow")
    assert ("mlflow_password" in secrets_of(name)) is uses
    assert (environment(name).get("MLFLOW_TRACKING_USERNAME") == "admin") is uses


def test_mlflow_is_served_behind_its_login() -> None:
    command = SERVICES["mlflow"]["command"]
    assert command[command.index("--app-name") + 1] == "tidemill"


def test_a_program_gets_mlflows_password_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "mlflow_password").write_text("0123abcd\n")
    script = (PROJECT / "docker" / "entrypoint.sh").read_text(encoding="utf-8").replace("/run/secrets", str(tmp_path))
    asked = ["sh", "-c", script, "sh", "sh", "-c", 'printf %s "$MLFLOW_TRACKING_PASSWORD"']
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "0123abcd"


@pytest.mark.parametrize("name", SERVICES)
def test_code_is_mounted_for_reading(name: str) -> None:
    assert all(mount.endswith(":ro") for mount in SERVICES[name].get("volumes", []) if mount.startswith("./"))


@pytest.mark.parametrize("name", SERVICES)
def test_no_value_is_a_password(name: str) -> None:
    values = environment(name)
    named = {key for key in values if re.search(r"PASSWORD|SECRET|FERNET|BROKER_URL|TOKEN", key)}
    assert all(key.endswith("_CMD") and values[key].startswith("cat /run/secrets/") for key in named)
    assert not any(re.search(r"://[^/@\s]*:[^/@\s]+@", value) for value in values.values())


def test_every_secret_is_a_file_that_make_secrets_writes(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    script = tmp_path / "docker" / "secrets.sh"
    script.write_text((PROJECT / "docker" / "secrets.sh").read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run(["sh", str(script)], check=True)
    made = {f"secrets/{path.name}" for path in (tmp_path / "secrets").iterdir()}
    assert {item["file"] for item in COMPOSE["secrets"].values()} == made


def test_a_secret_that_exists_stays(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    script = tmp_path / "docker" / "secrets.sh"
    script.write_text((PROJECT / "docker" / "secrets.sh").read_text(encoding="utf-8"), encoding="utf-8")
    contents = []
    for _ in range(2):
        subprocess.run(["sh", str(script)], check=True)
        contents.append({path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "secrets").iterdir()})
    assert contents[0] == contents[1]
    assert len(set(contents[0].values())) == len(contents[0])
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_secrets_are_not_in_the_repository_or_the_image() -> None:
    assert "secrets/" in (PROJECT / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert not any(line.startswith("!secrets") for line in ignored)


@pytest.mark.parametrize("name", WORKERS)
def test_a_task_has_no_way_into_airflows_database(name: str) -> None:
    assert not any("SQL_ALCHEMY_CONN" in key for key in environment(name))
    assert "airflow.pgpass" not in secrets_of(name)
    assert "metadata" not in SERVICES[name]["networks"]


@pytest.mark.parametrize("name", sorted(set(OURS) - {"init", "tools"}))
def test_only_migrations_and_people_are_the_owner_of_the_tables(name: str) -> None:
    assert "tidemill_owner.pgpass" not in secrets_of(name)


@pytest.mark.parametrize("name", ["dag-processor", "scheduler"])
def test_who_runs_no_step_has_no_way_into_the_warehouse(name: str) -> None:
    assert not {item for item in secrets_of(name) if item.startswith("tidemill_")}


def test_the_console_reads_and_no_more() -> None:
    assert {item for item in secrets_of("api-server") if item.startswith("tidemill_")} == {"tidemill_reader.pgpass"}
    assert "storage:/opt/tidemill/storage:ro" in SERVICES["api-server"]["volumes"]


def test_the_triggerer_asks_ready_queries_as_the_reader_and_no_more() -> None:
    assert {item for item in secrets_of("triggerer") if item.startswith("tidemill_")} == {"tidemill_reader.pgpass"}
    assert "tidemill_reader.pgpass" in environment("triggerer")["AIRFLOW_CONN_WAREHOUSE"]
    assert "data" in SERVICES["triggerer"]["networks"]


def test_trainings_and_predictions_wait_in_different_queues() -> None:
    queues = {name: set(SERVICES[name]["command"][-1].split(",")) for name in WORKERS}
    assert queues["trainer"] == {"train"}
    assert "predict" in queues["worker"]
    assert not queues["worker"] & queues["trainer"]


@pytest.mark.parametrize("name", WORKERS)
def test_more_workers_stay_more_when_the_others_are_started_again(name: str) -> None:
    # The next `up`, such as that of `make compose-demo`, forgets `--scale`.
    assert re.fullmatch(r"\$\{TIDEMILL_[A-Z]+:-1\}", SERVICES[name]["deploy"]["replicas"])
    assert not {"container_name", "hostname", "ports"} & SERVICES[name].keys()


def test_a_task_is_handed_out_again_later_than_any_task_may_take() -> None:
    longest = max(DEFAULT_ARGS["execution_timeout"], *map(execution_timeout, STEPS))
    visible = timedelta(seconds=scheduling("CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"))
    assert visible > longest


def test_the_task_of_a_worker_that_died_is_tried_again_within_minutes() -> None:
    noticed = (
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL",
    )
    assert sum(map(scheduling, noticed)) <= 120
    assert scheduling("CELERY__WORKER_PREFETCH_MULTIPLIER") == 1


def test_a_task_that_a_dying_worker_had_taken_is_queued_again_within_minutes() -> None:
    assert (
        scheduling("SCHEDULER__TASK_QUEUED_TIMEOUT") + scheduling("SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL")
        <= 300
    )


def test_a_task_may_wait_for_long_trainings_for_days() -> None:
    waits = scheduling("SCHEDULER__TASK_QUEUED_TIMEOUT") * scheduling("SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES")
    assert timedelta(seconds=waits) > timedelta(days=7)


def test_people_log_in() -> None:
    assert environment("api-server")["AIRFLOW__CORE__AUTH_MANAGER"].endswith("FabAuthManager")


@pytest.mark.parametrize("name", SERVICES)
def test_logs_are_rotated(name: str) -> None:
    assert {"max-size", "max-file"} <= set(SERVICES[name]["logging"]["options"])


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(PASSING)))
def test_a_service_comes_back_and_is_bounded(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["deploy"]["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {*PASSING, "flower"}))
def test_a_service_says_whether_it_is_well(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_is_asked_without_importing_airflow(name: str) -> None:
    # `celery --app airflow… inspect ping` takes 68 seconds on a busy machine with two cores, and adds to the load.
    assert SERVICES[name]["healthcheck"]["test"] == ["CMD", "python", "/opt/tidemill/docker/healthy.py", "worker"]
    script = (PROJECT / "docker" / "healthy.py").read_text(encoding="utf-8")
    assert not re.search(r"import airflow|from airflow|import tidemill|from tidemill", script)


@pytest.mark.parametrize("name", OURS)
def test_nobody_reports_to_anybody(name: str) -> None:
    assert environment(name).get("MLFLOW_DISABLE_TELEMETRY") == "true"


def test_only_who_trains_reaches_the_dask_cluster_which_reaches_nothing_but_the_storage() -> None:
    inside = {name for name in SERVICES if "learning" in SERVICES[name]["networks"]}
    assert inside == {"trainer", "dask-scheduler", "dask-worker"}
    assert COMPOSE["networks"]["learning"] == {"internal": True}
    for name in inside - {"trainer"}:
        assert SERVICES[name]["networks"] == ["learning"]
        assert secrets_of(name) == set()
        assert "ports" not in SERVICES[name]
        assert "--no-dashboard" in SERVICES[name]["command"]
    assert environment("trainer")["TIDEMILL_DASK"] == "tcp://dask-scheduler:8786"


def check_ports(folder: Path, docker_says: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the check of ``make compose-up`` with a Docker that gives the same answer to every command."""
    (folder / "docker").write_text(f"#!/bin/sh\necho '{docker_says}'\n")
    (folder / "docker").chmod(0o755)
    free = {"TIDEMILL_UI_PORT": str(free_port()), "TIDEMILL_MLFLOW_PORT": str(free_port())}
    return subprocess.run(
        [sys.executable, "-S", PROJECT / "docker" / "ports.py"],  # -S: without Tidemill's packages
        env={"PATH": str(folder)} | free | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_ports_that_are_checked_are_those_that_are_published() -> None:
    published = {
        (variable, name, int(default), int(inside))
        for name, service in SERVICES.items()
        for port in service.get("ports", [])
        for variable, default, inside in re.findall(r"\$\{(\w+):-(\d+)\}:(\d+)", port)
        if "profiles" not in service
    }
    checked = runpy.run_path(str(PROJECT / "docker" / "ports.py"))["PUBLISHED"]
    assert {(variable, name, port, port) for variable, (name, port) in checked.items()} == published


def test_a_taken_port_is_named_with_the_variable_that_moves_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        checked = check_ports(tmp_path, "", TIDEMILL_MLFLOW_PORT=str(port))
    assert checked.returncode == 1
    assert f"Port {port} of 127.0.0.1, for mlflow, is taken" in checked.stderr
    assert re.search(r"TIDEMILL_MLFLOW_PORT=\d+$", checked.stderr)


def test_a_port_of_the_running_profile_is_no_obstacle_to_a_second_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = str(ours.getsockname()[1])
        checked = check_ports(tmp_path, f"127.0.0.1:{port}", TIDEMILL_UI_PORT=port)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_a_value_that_is_not_a_port_is_refused_with_the_name_of_its_variable(tmp_path: Path, port: str) -> None:
    checked = check_ports(tmp_path, "", TIDEMILL_UI_PORT=port)
    assert f"TIDEMILL_UI_PORT is {port!r}, which is not a port" in checked.stderr
