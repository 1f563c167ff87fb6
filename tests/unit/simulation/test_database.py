import pytest

from tidemill.simulation.database import SimulationDatabase


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("postgresql://ann@db:5433/postgres?passfile=/a", "postgresql://ann@db:5433/mill_1?passfile=/a"),
        ("postgresql://ann@db", "postgresql://ann@db/mill_1"),
    ],
)
def test_the_database_is_on_the_named_server_with_its_login(server: str, expected: str) -> None:
    assert SimulationDatabase(server_url=server, name="mill_1").url == expected


def test_the_login_is_not_shown() -> None:
    assert "secret" not in repr(SimulationDatabase(server_url="postgresql://ann:secret@db/postgres", name="mill_1"))
