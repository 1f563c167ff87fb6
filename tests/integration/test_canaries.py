"""Canaries through a whole life of a model: a password, a personal value, a script and a pickle, and then a sweep.

Training, prediction and monitoring run as commands, each in a process of its own, with a real MLflow and with failures
among them; then everything that anybody may read is searched: output, ledger, MLflow, files, pages.
"""

import html
import os
import pickle
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .data import FEATURES_SQL, SCORED, SPEC, TRAINED, Mill

pytestmark = pytest.mark.timeout(1800)  # nine processes, each with its imports
PERSONAL = "jane.roe.canary@example.org"
SCRIPT = "<script>alert('canary')</script>"
WATCH = """
import os, sys, traceback
def hear(event, arguments):
    if event == "pickle.find_class":
        with open(os.environ["HEARD"], "a") as file:
            frames = [frame.filename for frame in traceback.extract_stack()]
            file.write(repr((arguments[:2], [name for name in frames if "/src/tidemill/" in name])) + "\\n")
sys.addaudithook(hear)
"""
"""Python tells of every global that any unpickler looks up, in C or in Python, whoever calls it."""


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.path),)


@dataclass(frozen=True, kw_only=True)
class Life:
    """What was left behind."""

    mill: Mill
    folder: Path
    passwords: tuple[str, ...]
    answers: dict[str, subprocess.CompletedProcess[str]]


def password_of(url: str) -> str:
    passfile = re.search(r"passfile=([^&]+)", url)
    assert passfile is not None
    return Path(passfile[1]).read_text(encoding="utf-8").strip().rpartition(":")[2]


def with_password(url: str, password: str) -> str:
    """Write a connection as careless people do."""
    return re.sub(r"\?passfile=.*", "", url.replace("@", f":{password}@", 1))


@pytest.fixture(scope="module")
def life(new_mill: Callable[[], Mill], tmp_path_factory: pytest.TempPathFactory) -> Life:
    mill, folder = new_mill(), tmp_path_factory.mktemp("life")
    payload = pickle.dumps(Touch(str(folder / "canary")), protocol=0).decode("latin-1").replace("\n", " ")
    mill.sql("ALTER TABLE {t} ADD COLUMN email text")
    mill.sql("UPDATE {t} SET email = %s WHERE parcel_id LIKE '%%-00%%'", PERSONAL)
    mill.sql("UPDATE {t} SET carrier = %s WHERE carrier = 'A'", SCRIPT)
    mill.sql("UPDATE {t} SET carrier = %s WHERE carrier = 'B'", payload)
    named = (
        "features: {numeric: [weight_kg, distance_km, n_stops, queue_h, wind_ms, rain_mm], categorical: [carrier]}\n"
    )
    longer = SPEC.replace("test: 5 days", "test: 8 days")  # five days leave the gate undecided
    mill.write(spec=longer + named, features=FEATURES_SQL.replace("p.carrier,", "p.carrier, p.email,"))
    (folder / "watch").mkdir()
    (folder / "watch" / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    (folder / "watch" / "model.pkl").write_bytes(pickle.dumps(Touch(str(folder / "canary"))))
    urls = {name: mill.workspace.connection(name) for name in ("warehouse", "tidemill", "tidemill_promoter")}
    passwords = {name: password_of(url) for name, url in urls.items()}
    environment = os.environ | {
        f"TIDEMILL_CONN_{name.upper()}": with_password(url, passwords[name]) for name, url in urls.items()
    }
    environment |= {
        "TIDEMILL_MODELS": str(mill.workspace.models),
        "TIDEMILL_SQL": str(mill.workspace.sql),
        "TIDEMILL_STORAGE": str(folder / "storage"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "HEARD": str(folder / "heard"),
        "COLUMNS": "300",
        "PYTHONPATH": os.pathsep.join([str(folder / "watch"), *sys.path]),
    }

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from tidemill.cli import app; app()", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environment | changes,
            cwd=folder,
        )

    broken = environment["TIDEMILL_CONN_TIDEMILL"]
    nowhere = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", broken)
    answers = {
        "train": run("train", mill.model, "--partition", TRAINED),
        "predict": run("predict", mill.model, "--partition", SCORED),
        "monitor": run("monitor", mill.model, "--partition", SCORED),
        "reproduce": run("reproduce", mill.model),
        "history": run("history", mill.model),
        "a refused login": run("predict", mill.model, "--partition", SCORED,
                               TIDEMILL_CONN_TIDEMILL=broken.replace(passwords["tidemill"], "wrong-canary-password")),
        "no server": run("predict", mill.model, "--partition", SCORED, TIDEMILL_CONN_TIDEMILL=nowhere),
        "a malformed address": run("predict", mill.model, "--partition", SCORED,
                                   TIDEMILL_CONN_TIDEMILL=broken.replace("127.0.0.1:", "127.0.0.1:port-")),
        "MLflow down": run("predict", mill.model, "--partition", SCORED,
                           MLFLOW_TRACKING_URI="http://me:mlflow-canary-password@127.0.0.1:1"),
    }  # fmt: skip
    return Life(
        mill=mill,
        folder=folder,
        answers=answers,
        passwords=(*passwords.values(), "wrong-canary-password", "mlflow-canary-password"),
    )


def outputs(life: Life) -> dict[str, str]:
    return {f"output of {name}": answer.stdout + answer.stderr for name, answer in life.answers.items()}


def ledger(life: Life) -> dict[str, str]:
    tables = life.mill.sql(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('tidemill', 'public')"
        " AND tablename NOT LIKE 'prediction_run_%%'"
    )
    return {
        f"table {name}": "\n".join(row for (row,) in life.mill.sql(f'SELECT t::text FROM "{schema}"."{name}" t'))
        for schema, name in tables
    }


def mlflow_rows(life: Life) -> dict[str, str]:
    connection = sqlite3.connect(life.folder / "mlflow.db")
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {f"MLflow's {name}": repr(connection.execute(f'SELECT * FROM "{name}"').fetchall()) for name in names}
    finally:
        connection.close()


def files(life: Life, *, but: tuple[str, ...] = ()) -> dict[str, str]:
    found = [path for path in life.folder.rglob("*") if path.is_file() and "watch" not in path.parts]
    shown = {path.relative_to(life.folder).as_posix(): path for path in found}
    return {
        name: path.read_bytes().decode("latin-1")
        for name, path in shown.items()
        if not any(part in name for part in but)
    }


def where(text: str, sinks: dict[str, str]) -> list[str]:
    return [name for name, content in sinks.items() if text in content]


def test_what_should_work_works_and_what_should_fail_fails(life: Life) -> None:
    codes = {name: answer.returncode for name, answer in life.answers.items()}
    failing = ("a refused login", "no server", "a malformed address")
    assert codes == {name: int(name in failing) for name in codes}, outputs(life)


def test_no_password_is_anywhere(life: Life) -> None:
    sinks = outputs(life) | ledger(life) | mlflow_rows(life) | files(life)
    assert [
        (number, where(password, sinks)) for number, password in enumerate(life.passwords) if where(password, sinks)
    ] == []


def test_a_failure_says_what_it_is_about(life: Life) -> None:
    assert "refuses the login" in life.answers["a refused login"].stderr
    assert "127.0.0.1:1" in life.answers["no server"].stderr


def test_a_personal_value_is_in_the_data_and_nowhere_else(life: Life) -> None:
    data = ("storage/", "/snapshots/"), ("storage/", "/splits/")
    assert where(PERSONAL, outputs(life) | ledger(life) | mlflow_rows(life)) == []
    others = [name for name in where(PERSONAL, files(life)) if not any(all(p in name for p in pair) for pair in data)]
    assert others == []


def test_a_script_in_the_data_is_text_on_every_page(life: Life) -> None:
    pages = {name: text for name, text in files(life).items() if name.endswith((".html", ".svg", ".md"))}
    assert where(SCRIPT, pages) == []
    escaped = [name for name, text in pages.items() if "canary" in html.unescape(text) and "&lt;script&gt;" in text]
    assert any(name.endswith(".html") for name in escaped)  # it is there, as text


def test_no_pickle_is_loaded_and_no_canary_file_made(life: Life) -> None:
    assert not (life.folder / "canary").exists()
    heard = (life.folder / "heard").read_text(encoding="utf-8").splitlines() if (life.folder / "heard").exists() else []
    assert heard == []


def test_the_audit_hook_reports_a_pickle(life: Life, tmp_path: Path) -> None:
    load = "import pickle, pathlib; pickle.loads(pickle.dumps(pathlib.Path()))"
    places = {"PYTHONPATH": str(life.folder / "watch"), "HEARD": str(tmp_path / "heard")}
    subprocess.run([sys.executable, "-c", load], check=True, env=os.environ | places)
    assert "Path" in (tmp_path / "heard").read_text(encoding="utf-8")


def test_no_file_that_was_written_is_a_pickle(life: Life) -> None:
    assert [name for name in files(life) if name.endswith((".pkl", ".pickle", ".joblib", ".npy"))] == []
    assert [name for name, text in files(life).items() if re.match(r"\x80[\x02-\x05][\x95c}(]", text)] == []
