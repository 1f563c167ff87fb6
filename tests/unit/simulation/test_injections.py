import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import SpecError
from tidemill.simulation import Injection

START = datetime(2013, 6, 10, 4, tzinfo=UTC)
WORDS = (
    "null:temp@2013-06-10",
    "scale:temp*1000@2013-06-10",
    "scale:temp*0.5@2013-06-10",
    "rename:carrier=UA->UAL@2013-06-10",
    "half@2013-06-10",
    "double@2013-06-10",
    "labels_late:3@2013-06-10",
    "labels_corrected:3@2013-06-10",
    "labels_stop@2013-06-10",
)


@pytest.mark.parametrize("words", WORDS)
def test_an_injection_is_written_as_it_was_read(words: str) -> None:
    assert Injection.parse(words).words == words


@pytest.mark.parametrize(
    "words",
    [
        "",
        "null@2013-06-10",
        "null:temp",
        "scale:temp*x@2013-06-10",
        "half:temp@2013-06-10",
        "labels_late@2013-06-10",
        "labels_late:0@2013-06-10",
        "nul:temp@2013-06-10",
    ],
)
def test_other_words_are_refused_with_the_known_ones(words: str) -> None:
    with pytest.raises(SpecError, match="is not an injection") as refused:
        Injection.parse(words)
    assert "labels_stop@<partition>" in refused.value.next_step


@pytest.mark.parametrize("words", WORDS)
def test_every_kind_becomes_statements(words: str) -> None:
    assert list(Injection.parse(words).statements("flight_id", "scheduled_departure", START))


@given(st.text(max_size=60))
def test_any_text_is_an_injection_or_is_refused(words: str) -> None:
    with contextlib.suppress(SpecError):
        assert Injection.parse(words).partition


@pytest.mark.parametrize("words", WORDS)
def test_every_kind_can_say_which_rows_it_changes(words: str) -> None:
    counting = Injection.parse(words).counting("flight_id", "scheduled_departure", START, START)
    assert "count(*)" in repr(counting)
