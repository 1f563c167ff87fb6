"""What an Airflow that already exists still lacks before Tidemill can work on it; each finding with its remedy.

The doctor asks whether what runs is healthy; these checks ask whether it could run at all. Each call writes the same small
folder to the storage.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from tidemill.doctor.findings import Finding, judged
from tidemill.doctor.ledger import check_migrations, check_rights, check_roles
from tidemill.doctor.machine import check_tracking, sound_specs
from tidemill.errors import SettingsError, TidemillError
from tidemill.requirements import COLLECTIVES, install_command, needed_requirements, unmet_requirements
from tidemill.storage.scratch import temporary
from tidemill.storage.store import Store
from tidemill.warehouse.connections import fetch_value, kept_open, transaction
from tidemill.warehouse.statements import execute
from tidemill.workspace import LEDGER, PROMOTER, SOURCE, Workspace, connection_from_environment

__all__ = ["DAG_FILES", "check_storage", "examine_installation"]

DAG_FILES = (
    "act",
    "broken_specs",
    "maintenance",
    "monitor",
    "predict",
    "reproduce",
    "retrain",
    "rollback",
    "test",
    "train",
)
"""Files that Airflow must find among its DAG files."""
FACTS = "tidemill_airflow.facts"
FACTS_S = 120
"""Seconds that Airflow may take to start and look up its connections."""
NEEDS = {
    SOURCE: ("tidemill.run", "SELECT"),
    LEDGER: ("tidemill.run", "INSERT"),
    PROMOTER: ("tidemill.judgement", "INSERT"),
}
"""A table of the ledger, and what the role of each connection must be able to do with it."""
_OWNER = "run 'tidemill migrate' with TIDEMILL_CONN_TIDEMILL_OWNER set"


def examine_installation() -> tuple[Finding, ...]:
    """Check Python, packages, Airflow, its connections, the warehouse, the storage, MLflow and the DAG files.

    Returns
    -------
    tuple of Finding
        One per check and subject, passed checks included. Checks that depend on something missing are left out.
    """
    with kept_open():
        return tuple(_findings())


def _findings() -> Iterator[Finding]:
    yield from _packages()
    facts, finding = _airflow()
    yield finding
    if facts is not None:
        yield _plugin(Path(facts["plugins_folder"]))
    urls: dict[str, str] = {}
    for name, url, finding in _connections(facts["connections"] if facts else {}):
        yield finding
        urls |= {name: url} if url else {}
    yield from _warehouse(urls)
    yield check_storage()
    yield check_tracking(os.environ.get("MLFLOW_TRACKING_URI"))
    if facts is not None:
        yield from _dag_files(facts["bundles"])


def _packages() -> Iterator[Finding]:
    about = metadata.metadata("tidemill")
    running, wanted = ".".join(map(str, sys.version_info[:3])), about["Requires-Python"]
    well = SpecifierSet(wanted).contains(running)
    yield judged(
        "python",
        "environment",
        [] if well else [f"Python {running} runs here, {wanted} is supported"],
        f"Python {running}.",
        "Install Airflow and Tidemill into an environment of a supported Python.",
    )
    unmet = unmet_requirements()
    airflow = "" if unmet else metadata.version("apache-airflow")  # which is one of them
    yield judged(
        "requirements",
        "environment",
        list(unmet.values()),
        f"All {len(needed_requirements())} required packages are installed, Airflow {airflow} among them.",
        f"Install them together with Airflow, pinned to its own version: {install_command(unmet)}",
    )
    yield _collectives()


def _collectives() -> Finding:
    """Look for NVIDIA's library for several GPUs, which XGBoost's wheel requires and training on CPUs never loads."""
    found = [item for name in COLLECTIVES for item in metadata.distributions(name=name)]
    if not found:
        return Finding.ok("collectives", "environment", "No library for GPUs of several machines is installed.")
    names = " ".join(item.name for item in found)
    size_mb = sum(file.size or 0 for item in found for file in item.files or ()) / 1e6
    return Finding.warn(
        "collectives",
        "environment",
        f"{names} takes {size_mb:,.0f} MB, and only a training on GPUs of several machines would load it.",
        f"Remove it: {sys.executable} -m pip uninstall --yes {names}",
    )


def _airflow() -> tuple[dict[str, Any] | None, Finding]:
    """Ask Airflow in a separate process; if it does not start, that is a finding."""
    remedy = "Run 'airflow version' as the same user, and fix what it reports."
    if find_spec(FACTS.partition(".")[0]) is None:
        return None, Finding.fail(
            "airflow",
            "plugin",
            "The package tidemill_airflow cannot be imported.",
            "Install Tidemill into the environment that Airflow runs in.",
        )
    command = [sys.executable, "-W", "ignore", "-m", FACTS, *NEEDS]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FACTS_S)
        answer = asked.stdout[asked.stdout.index('{"executor"') :]  # plugins and settings may print before it
        facts: dict[str, Any] = json.loads(answer)
    except subprocess.TimeoutExpired:
        return None, Finding.fail("airflow", "environment", f"Airflow has not answered within {FACTS_S} s.", remedy)
    except ValueError:
        said = (asked.stderr.strip().splitlines() or [f"exit status {asked.returncode}"])[-1]
        return None, Finding.fail("airflow", "environment", f"Airflow does not start: {said}.", remedy)
    queues = f" Workers have to listen to: {','.join(facts['queues'])}." if "Celery" in facts["executor"] else ""
    return facts, Finding.ok("airflow", "environment", f"It starts; its executor is {facts['executor']}.{queues}")


def _plugin(folder: Path) -> Finding:
    """Check that Airflow does not execute every file of a copy of the plugin in its plugins folder."""
    copy = folder / "tidemill_airflow"
    if not copy.is_dir():
        return Finding.ok("plugin", "airflow", "It comes from the package; the plugins folder needs nothing.")
    ignored = folder / ".airflowignore"
    lines = ignored.read_text(encoding="utf-8").splitlines() if ignored.is_file() else []
    return judged(
        "plugin",
        str(folder),
        []
        if copy.name in {line.strip().strip("/") for line in lines}
        else [f"{copy} is there, and no line of {ignored} names it: each task would execute every file of it"],
        f"{ignored} keeps Airflow from executing {copy}.",
        f"Write the line tidemill_airflow into {ignored}; or remove the folder, since the package holds the same.",
    )


def _connections(answers: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str | None, Finding]]:
    """Return the name, the URL if there is one, and the finding of each connection that a task asks for."""
    for name, answer in answers.items():
        if "url" in answer:
            own = name == SOURCE or answer != answers[SOURCE]
            said = "Airflow has it." if own else f"Airflow has none of its own: that of {SOURCE!r} is used."
            yield name, answer["url"], Finding.ok("connection", name, said)
        elif url := _from_shell(name):
            said = f"{answer['problem']} The command line has one, tasks do not see it."
            yield name, url, Finding.warn("connection", name, said, answer["remedy"])
        elif name == SOURCE or "url" in answers[SOURCE]:  # the others fall back on the source
            yield name, None, Finding.fail("connection", name, answer["problem"], answer["remedy"])


def _from_shell(name: str) -> str | None:
    try:
        return connection_from_environment(name)
    except SettingsError:
        return None


def _warehouse(urls: Mapping[str, str]) -> Iterator[Finding]:
    """Check the database behind the connections: access, roles, migrations, grants, and what each role may do."""
    reached: dict[str, str] = {}
    for name, url in urls.items():
        try:
            with transaction(url) as cursor:
                execute(cursor, "who_is_connected")
                reached[name] = url
                yield Finding.ok("warehouse", name, f"It reaches {fetch_value(cursor)}.")
        except TidemillError as error:
            yield Finding.fail("warehouse", name, error.problem, f"Correct the connection. {error.next_step}")
    try:
        if reached:
            yield from _ledger(reached)
    except TidemillError as error:  # a role without any right, or a server that goes away meanwhile
        yield Finding.fail("warehouse", "ledger", error.problem, error.next_step)


def _ledger(reached: Mapping[str, str]) -> Iterator[Finding]:
    with transaction(reached.get(LEDGER) or next(iter(reached.values()))) as cursor:
        execute(cursor, "ledger_exists")
        if not fetch_value(cursor):
            yield check_roles(cursor)
            yield Finding.fail("migrations", "ledger", "The warehouse has no ledger yet.", f"As its owner, {_OWNER}.")
            return
        yield check_migrations(cursor)
        yield from check_rights(cursor)
    for name, url in reached.items():
        yield _may(name, url)


def _may(name: str, url: str) -> Finding:
    table, right = NEEDS[name]
    with transaction(url) as cursor:
        execute(cursor, "role_may", table=table, right=right)
        role, may = cursor.fetchone() or ("", False)
    return judged(
        "rights",
        name,
        [] if may else [f"Role {role} may not {right} {table}"],
        f"Role {role} may {right} {table}.",
        "Let it log in as the role that docs/deploy/existing-airflow.md names, or GRANT it that one.",
    )


def check_storage() -> Finding:
    """Write a small folder, read it back from the storage, and compare it with its digest."""
    try:
        store = Store.of(Workspace.from_environment())
        stored = store.write("install_check", "probes", _probe)
        with temporary() as elsewhere:
            reader = replace(store, root=elsewhere) if store.bucket else store
            reader.folder(stored.uri, stored.digest)
        store.note("install_check/probes/probe.json", b"{}")  # written again, unlike a folder that exists already
        store.notes("install_check", "probes")
    except TidemillError as error:
        return Finding.fail("storage", "artifacts", error.problem, error.next_step)
    return Finding.ok("storage", "artifacts", f"{store.place} keeps what is written, and its digest is right.")


def _probe(folder: Path) -> None:
    (folder / "probe.txt").write_text("Written by tidemill install-check; harmless.\n", encoding="utf-8")


def _dag_files(bundles: list[dict[str, str]]) -> Iterator[Finding]:
    """Check that Airflow reads our DAG files, and read the specs next to them."""
    found: dict[str, Path] = {}
    for bundle in bundles:
        for path in sorted(Path(bundle["path"]).rglob("*.py")):
            if path.stem in DAG_FILES and "tidemill_airflow" in path.read_text(encoding="utf-8", errors="replace"):
                found.setdefault(path.stem, path.parent)
    names = ", ".join(f"{item['name']} ({item['path']})" for item in bundles)
    missing = [f"{name}.py" for name in DAG_FILES if name not in found]
    yield judged(
        "dags",
        "airflow",
        [f"{', '.join(missing)}: in no bundle of DAG files that can be seen here, of {names}"] if missing else [],
        f"All {len(DAG_FILES)} DAG files are in {', '.join(sorted({str(p) for p in found.values()}))}.",
        "Put dags/ of this version into one of them. One that is fetched is seen where it has been: ask there.",
    )
    if found:
        beside = next(iter(found.values())) / "models"
        yield sound_specs(Path(os.environ.get("TIDEMILL_MODELS") or beside))[1]
