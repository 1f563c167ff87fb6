import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tidemill.local.health import fetch, ready_components, silent_components
from tidemill.machine.ports import free_port

HEALTHY = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": "2026-01-01T00:00:10+00:00"},
    "dag_processor": {"status": "unhealthy", "latest_dag_processor_heartbeat": "2026-01-01T00:00:10+00:00"},
    "triggerer": {"status": None, "latest_triggerer_heartbeat": None},
}


def test_a_component_that_never_beat_is_not_ready() -> None:
    assert ready_components(HEALTHY, {}) == {"api-server", "scheduler"}


def test_nothing_is_ready_when_the_database_is_not() -> None:
    assert ready_components({"metadatabase": {"status": "unhealthy"}}, {}) == frozenset()


def test_only_an_unhealthy_component_is_silent() -> None:
    assert silent_components(HEALTHY) == {"dag-processor"}


def test_silence_is_unknown_when_the_database_is_not_healthy() -> None:
    assert silent_components({"metadatabase": {"status": "unhealthy"}, "scheduler": {"status": "unhealthy"}}) is None


@pytest.mark.parametrize("answer", [{}, {"metadatabase": None}])
def test_an_answer_of_another_shape_means_unknown(answer: dict[str, object]) -> None:
    assert silent_components(answer) is None


def test_fetch_returns_none_when_nobody_listens() -> None:
    assert fetch(f"http://127.0.0.1:{free_port()}/") is None


def test_fetch_returns_none_when_the_answer_takes_too_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        assert fetch(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout_s=0.2) is None
    assert time.monotonic() - began < 5


def test_fetch_never_asks_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with HTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert fetch(f"http://127.0.0.1:{server.server_port}/") == b"tide"


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"tide")

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""
