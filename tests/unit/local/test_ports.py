import socket
from collections.abc import Iterator

import pytest

from tidemill.local.ports import Ports, choose
from tidemill.machine.ports import LOOPBACK, free_port


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen()
        yield server.getsockname()[1]


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
