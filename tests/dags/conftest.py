"""The DAG folder, loaded in a fresh process as Airflow's DAG processor loads it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
Described = dict[str, Any]


def describe(models: Path, **settings: str) -> Described:
    answer = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("describe.py")), str(PROJECT / "dags")],
        env=os.environ | {"TIDEMILL_MODELS": str(models)} | settings,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,  # of a file that is waited for
    )
    return json.loads(answer.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def described() -> Described:
    """The DAGs of the models that the project ships."""
    return describe(PROJECT / "dags" / "models")


@pytest.fixture(scope="session")
def describe_models(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Described]:
    """Describe the DAGs of other specs, given as texts by model; ``{folder}`` in an error stands for theirs."""

    def write_and_describe(**texts: str) -> Described:
        folder = tmp_path_factory.mktemp("models")
        for name, text in texts.items():
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        described = describe(folder)
        described["errors"] = {
            file: said.replace(str(folder), "{folder}") for file, said in described["errors"].items()
        }
        return described

    return write_and_describe
