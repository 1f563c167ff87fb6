import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from tidemill.errors import TrackingUnavailable
from tidemill.tracking import Session, Tracking, answers, is_reachable
from tidemill.tracking.server import without_login


def test_a_port_where_nothing_listens_is_not_reachable() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        assert not is_reachable(f"http://127.0.0.1:{one.getsockname()[1]}")


def test_a_port_where_something_listens_is_reachable() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        assert is_reachable(f"http://127.0.0.1:{one.getsockname()[1]}")


@pytest.mark.parametrize("uri", ["mlflow:5000", "127.0.0.1:5000/base", "http://mlflow:none"])
def test_an_address_that_is_none_is_not_reachable(uri: str) -> None:
    assert not is_reachable(uri)


def test_a_database_is_left_to_the_client() -> None:
    assert is_reachable("sqlite:////tmp/mlflow.db")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_accepts_and_says_nothing_does_not_answer(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not answers(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}", limit_s=0.2)


def test_a_server_that_hangs_up_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        closing = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start(), closing.start()
        assert not answers(f"http://127.0.0.1:{server.getsockname()[1]}", limit_s=5.0)
        thread.join(), closing.join()


def test_any_answer_is_one() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert answers(f"http://me:secret@127.0.0.1:{server.server_port}/base/")
        server.shutdown()


def test_nothing_that_listens_does_not_answer_and_a_database_is_not_asked() -> None:
    assert not answers("http://127.0.0.1:1")
    assert answers("sqlite:////tmp/mlflow.db")


@pytest.mark.parametrize("uri", ["http://me:secret@h:5000", "https://secret@h", "postgresql://me:secret@h/db"])
def test_an_address_is_shown_without_its_login(uri: str) -> None:
    assert "secret" not in without_login(uri)


def test_no_request_is_begun_once_the_budget_is_used_up() -> None:
    with pytest.raises(TrackingUnavailable, match="answers slowly"):
        Session(None, "http://h", time.monotonic() - 1).check_time()


def test_the_environment_is_as_before_after_a_session_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")
    before = dict(os.environ)
    with pytest.raises(TrackingUnavailable), Tracking("http://127.0.0.1:1").session():
        pass
    assert dict(os.environ) == before


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("no_proxy", [None, "example.com"])
def test_a_proxy_never_catches_requests_to_this_machine(
    monkeypatch: pytest.MonkeyPatch, variable: str, no_proxy: str | None
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        if no_proxy:
            monkeypatch.setenv("NO_PROXY", no_proxy)
        assert requests.utils.get_environ_proxies(uri) != {}
        with Tracking(uri).session():
            assert requests.utils.get_environ_proxies(uri) == {}
            assert requests.utils.get_environ_proxies("http://mlflow.test") != {}
            assert (requests.utils.get_environ_proxies("http://example.com") == {}) == (no_proxy is not None)
        assert requests.utils.get_environ_proxies(uri) != {}
