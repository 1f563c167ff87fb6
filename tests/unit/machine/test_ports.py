import socket
from collections.abc import Iterator

import pytest

from tidemill.machine.ports import LOOPBACK, free_port, is_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_with_a_listener_is_not_free(taken: int) -> None:
    assert not is_free(taken)


def test_a_port_taken_on_every_interface_is_not_free() -> None:
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        assert not is_free(server.getsockname()[1])


def test_a_port_bound_without_listening_is_not_free() -> None:
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        assert not is_free(server.getsockname()[1])


def test_a_port_whose_connection_was_just_closed_is_free() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        server.bind((LOOPBACK, 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # the server's side closes first, and waits in TIME_WAIT
            client.recv(1)
    assert is_free(port)


def test_free_port_gives_a_free_port() -> None:
    assert is_free(free_port())
