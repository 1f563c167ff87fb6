"""Trains, predicts and monitors a small model, and prints what came of it; a program of its own, for its time zone.

The zone of a process is settled when it starts, so each zone needs one.
"""

import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from tidemill.workspace import Workspace

from ..chaos.tables import what_counts
from .data import NEXT, SCORED, Mill

FIGURES = """
SELECT partition, part, name, feature, slice, value, low, high, n, label_coverage, as_of FROM tidemill.metric
WHERE model = '{m}' AND part NOT IN ('compute', 'freshness') ORDER BY partition, part, name, feature, slice, value
"""
SNAPSHOTS = """
SELECT purpose, partition, start_at, end_at, cutoff, digest FROM tidemill.snapshot WHERE model = '{m}' ORDER BY 1, 2
"""


def _plain(value: object) -> str:
    """An instant is the same whatever zone it is told in; this program's own connections tell it in their machine's."""
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def main(model: str, root: str, owner_url: str, urls: str) -> None:
    """Live the days, and print the digests of all that has to be the same everywhere."""
    folder, connections = Path(root), json.loads(urls)
    workspace = Workspace(
        models=folder / "models",
        sql=folder / "sql",
        storage=folder / "storage",
        tracking_uri=None,
        connection=connections.__getitem__,
    )
    mill = Mill(model=model, workspace=workspace, owner_url=owner_url)
    mill.train()
    for day in ("2024-03-24", SCORED, NEXT):
        mill.predict(day)
    mill.monitor(NEXT)
    mill.retrain(NEXT)
    found = what_counts(mill) | {"figures": mill.sql(FIGURES), "snapshots": mill.sql(SNAPSHOTS)}
    digests = {
        name: hashlib.sha256(json.dumps(value, default=_plain).encode()).hexdigest() for name, value in found.items()
    }
    sys.stdout.write(json.dumps(digests | {"n_figures": len(found["figures"])}))


if __name__ == "__main__":
    main(*sys.argv[1:])
