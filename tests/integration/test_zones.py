"""Time zones: what comes out does not depend on the zone of the machine, of the process or of its Postgres client."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import PROJECT, ROLES, Warehouse
from .data import FEATURES_SQL, Mill

WEST, EAST = "America/St_Johns", "Pacific/Auckland"  # 16 hours and a half apart, one of them not by whole hours of UTC
# A query that leaves the zone to the session: the hour of a timestamptz, and its date.
CARELESS = "EXTRACT(hour FROM p.shipped_at)::int AS hour, CAST(p.shipped_at AS date)::text AS day, p.n_stops,"


def live(mill: Mill, warehouse: Warehouse, zone: str) -> dict[str, Any]:
    """Train, predict and monitor in a process whose machine, shell and libpq are in a zone."""
    root = Path(mill.workspace.storage).parent / f"in_{mill.model}"
    for name in ("models", "sql"):
        (root / name).mkdir(parents=True)
    here = Mill(
        model=mill.model,
        owner_url=mill.owner_url,
        workspace=type(mill.workspace)(
            models=root / "models",
            sql=root / "sql",
            storage=root / "storage",
            tracking_uri=None,
            connection=mill.workspace.connection,
        ),
    )
    here.write(features=FEATURES_SQL.replace("p.n_stops,", CARELESS))
    urls = {name: warehouse.url(role) for name, role in ROLES.items()}
    answer = subprocess.run(
        [sys.executable, "-m", "tests.integration.a_day", mill.model, str(root), mill.owner_url, json.dumps(urls)],
        env=os.environ | {"TZ": zone, "PGTZ": zone, "PGDATESTYLE": "German"},
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def lived(new_mill: Callable[[], Mill], warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    return {zone: live(new_mill(), warehouse, zone) for zone in (WEST, EAST)}


def test_something_was_measured(lived: dict[str, dict[str, Any]]) -> None:
    assert lived[WEST]["n_figures"] > 50


def test_digests_rows_and_figures_are_the_same_in_both_zones(lived: dict[str, dict[str, Any]]) -> None:
    differing = {name for name, digest in lived[WEST].items() if lived[EAST][name] != digest}
    assert sorted(differing) == []
