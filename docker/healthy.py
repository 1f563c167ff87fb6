"""Check whether a service is alive: ``python healthy.py scheduler``, ``python healthy.py worker``.

The API server reports on Airflow's components. A worker is asked directly, through the broker and without Airflow: on a
busy machine, Airflow's imports take longer than the check's time limit.
"""

import json
import socket
import sys
import urllib.request
from pathlib import Path

URL = "http://api-server:8080/api/v2/monitor/health"
BROKER = Path("/run/secrets/broker_url")
TIMEOUT_S = 10


def component_answers(name: str) -> bool:
    """Return whether the API server has a recent heartbeat of one of Airflow's components."""
    with urllib.request.urlopen(URL, timeout=TIMEOUT_S) as answer:
        return bool(json.load(answer)[name]["status"] == "healthy")


def worker_answers() -> bool:
    """Return whether the Celery worker of this container answers a ping."""
    from celery import Celery

    control = Celery(broker=BROKER.read_text(encoding="utf-8").strip()).control
    return bool(control.ping(destination=[f"celery@{socket.gethostname()}"], timeout=TIMEOUT_S, limit=1))


sys.exit(not (worker_answers() if sys.argv[1] == "worker" else component_answers(sys.argv[1])))
