import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import SpecError
from tidemill.warehouse.model_queries import bind, query_digest


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ':start'",
        'SELECT ":start"',
        "SELECT 1 -- :start",
        "SELECT /* :start\n */ 1",
        "SELECT $$:start$$",
        "SELECT $a$:start$a$",
        r"SELECT E'it\'s :start', e'\\'",
        "SELECT ';' -- ; :start",
    ],
)
def test_a_name_inside_text_identifier_or_comment_is_left_alone(text: str) -> None:
    assert bind(text, "q.sql") == text


def test_a_cast_is_no_name() -> None:
    assert bind("SELECT x::start", "q.sql") == "SELECT x::start"


def test_an_unknown_name_is_refused_with_its_line() -> None:
    with pytest.raises(SpecError, match=r"q\.sql:2: unknown parameter ':today'"):
        bind("SELECT\n:today", "q.sql")


def test_a_percent_sign_survives_the_driver() -> None:
    assert bind("SELECT a % 2, '50%'", "q.sql") % {} == "SELECT a % 2, '50%'"


@given(st.text(alphabet="abc %:'\"-$\n", max_size=30))
def test_text_without_parameters_is_the_same_after_the_driver(text: str) -> None:
    try:
        bound = bind(text, "q.sql")
    except SpecError:
        return
    assert bound % {name: f":{name}" for name in ("start", "end", "cutoff")} == text.rstrip()


def test_the_digest_sees_where_one_query_ends() -> None:
    assert query_digest("ab", "c") != query_digest("a", "bc")


@pytest.mark.parametrize("tail", [";", ";\n", " ;; -- done; 100 %\n", ";\n/* the\nend */\n", "; -- a\n; /* b */"])
def test_semicolons_and_comments_may_follow_a_query(tail: str) -> None:
    bound = bind("SELECT ';' AS a" + tail, "q.sql") % {}
    assert bound.startswith("SELECT ';' AS a")
    assert ";" not in bound.removeprefix("SELECT ';' AS a").replace("done;", "")


def test_a_second_statement_is_left_for_postgres_to_refuse() -> None:
    assert bind("SELECT 1; SELECT 2;", "q.sql") == "SELECT 1; SELECT 2"


@pytest.mark.parametrize("call", ["set_config('a.b', 'c', false)", "pg_catalog.SET_CONFIG ('a.b', 'c', true)"])
def test_set_config_is_refused_with_its_line(call: str) -> None:
    with pytest.raises(SpecError, match=r"q\.sql:2: set_config changes the session"):
        bind(f"SELECT\n{call}", "q.sql")


@pytest.mark.parametrize(
    "text", ["SELECT 'set_config('", "SELECT my_set_config(1)", "SELECT set_config FROM t -- set_config("]
)
def test_other_names_like_set_config_are_left_alone(text: str) -> None:
    assert bind(text, "q.sql") == text
