"""The client of Airflow's API, against a server that does not answer at first."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tidemill.local import airflow_api
from tidemill.local.airflow_api import AirflowApi


class Busy(ThreadingHTTPServer):
    """Does not answer the first request until another one arrives."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked, self.another = 0, threading.Event()

    def answer(self) -> dict[str, str]:
        self.asked += 1
        if self.asked == 1:
            self.another.wait(10)  # seconds
        self.another.set()
        return {"version": "3"}


class _Handler(BaseHTTPRequestHandler):
    server: Busy

    def do_GET(self) -> None:
        body = json.dumps(self.server.answer()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Busy]:
    monkeypatch.setattr(airflow_api, "TIMEOUT_S", 0.5)
    server = Busy()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.another.set()
    server.shutdown()
    thread.join()
    server.server_close()


def api(server: Busy) -> AirflowApi:
    return AirflowApi(f"http://127.0.0.1:{server.server_port}", "admin", "none")


def test_a_request_that_only_reads_is_repeated(busy: Busy) -> None:
    assert api(busy).request("GET", "version") == {"version": "3"}
    assert busy.asked == 2


def test_a_request_that_changes_something_is_sent_once(busy: Busy) -> None:
    with pytest.raises(httpx.TimeoutException):
        api(busy).request("POST", "dags/a/dagRuns")
    assert busy.asked == 1
