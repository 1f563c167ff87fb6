import socket
from collections.abc import Iterator

import pytest

from tidemill.local.ports import LOOPBACK, Ports, choose, free_port, is_free


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


def test_choose_takes_the_first_wish_that_is_free() -> None:
    last, usual = _three_free_ports(), _three_free_ports()

    assert choose(last, usual) == last


def test_choose_takes_the_second_wish_when_the_first_is_taken(taken: int) -> None:
    last = Ports(api=taken, mlflow=free_port(), postgres=free_port())
    usual = _three_free_ports()

    assert choose(last, usual).api == usual.api


def test_choose_takes_any_free_port_when_all_wishes_are_taken(taken: int) -> None:
    chosen = choose(Ports(api=taken, mlflow=free_port(), postgres=free_port()))

    assert chosen.api != taken


def test_chosen_ports_are_different_when_the_wishes_are_not() -> None:
    same = free_port()
    chosen = choose(Ports(api=same, mlflow=same, postgres=same))

    assert len({chosen.api, chosen.mlflow, chosen.postgres}) == 3


def test_usual_ports_are_those_of_the_programs() -> None:
    assert Ports() == Ports(api=8080, mlflow=5000, postgres=5432)


def _three_free_ports() -> Ports:
    with socket.socket() as a, socket.socket() as b, socket.socket() as c:
        for one in (a, b, c):
            one.bind((LOOPBACK, 0))
        return Ports(api=a.getsockname()[1], mlflow=b.getsockname()[1], postgres=c.getsockname()[1])
