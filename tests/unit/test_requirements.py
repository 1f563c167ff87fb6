"""Missing packages are named with the command that installs them, whatever was to be run."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tidemill.doctor import Health
from tidemill.doctor.installation import _collectives
from tidemill.requirements import install_command, needed_requirements, unmet_requirements

BARE = """
import importlib.metadata, sys
version = importlib.metadata.version

def found(name):
    if name in ("psycopg2-binary", "pyarrow"):
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)

importlib.metadata.version = found
for name in sys.argv.pop(1).split(","):
    sys.modules[name] = None  # an import of it fails, as where it is not installed
from tidemill.__main__ import main
main()
"""
"""An Airflow's environment in which two packages of Tidemill's are missing."""


def run_bare(*arguments: str, missing: str = "psycopg2,pyarrow") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BARE, missing, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_install_check_names_what_is_missing_and_the_command_that_installs_it() -> None:
    asked = run_bare("install-check")
    assert (asked.returncode, asked.stderr) == (1, "")
    assert "psycopg2-binary is missing, >=2.9.10 is supported; pyarrow is missing, >=21 is supported" in asked.stdout
    airflow = metadata.version("apache-airflow")
    command = f"pip install apache-airflow=={airflow} 'psycopg2-binary>=2.9.10' 'pyarrow>=21'"
    assert command in " ".join(asked.stdout.split())


def test_install_check_answers_programs_too() -> None:
    (finding,) = json.loads(run_bare("install-check", "--json").stdout)
    assert (finding["check"], finding["severity"]) == ("requirements", "fail")
    assert "pip install" in finding["remedy"]


@pytest.mark.parametrize("missing", ["psycopg2", "typer", "pydantic"])
def test_no_command_ends_in_a_traceback(missing: str) -> None:
    asked = run_bare("migrate", missing=missing)
    assert asked.returncode == 1
    assert f"The module '{missing}' is not installed" in asked.stderr
    assert "Traceback" not in asked.stderr


def test_here_nothing_is_missing() -> None:
    assert unmet_requirements() == {}
    assert "apache-airflow" in {item.name for item in needed_requirements()}


def test_an_airflow_of_another_version_is_not_kept() -> None:
    assert "apache-airflow==" not in install_command({"apache-airflow<3.4,>=3.3.2": "is 2.11"})


def test_the_library_for_gpus_is_named_with_its_size_and_the_command_that_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "nvidia_nccl_cu12-2.27.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: nvidia-nccl-cu12\nVersion: 2.27\n")
    (record / "RECORD").write_text("libnccl.so.2,sha256=x,469000000\n")
    (tmp_path / "libnccl.so.2").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    found = _collectives()
    assert found.severity is Health.WARN
    assert "nvidia-nccl-cu12 takes 469 MB" in found.message
    assert found.remedy.endswith("pip uninstall --yes nvidia-nccl-cu12")
    monkeypatch.undo()
    assert _collectives().severity is Health.OK
