"""Digits of ``numeric`` values that a double does not keep are counted."""

import pyarrow as pa
import pytest

from tidemill.warehouse.reading import Column, count_rounded


@pytest.mark.parametrize(
    ("text", "in_a_table", "in_a_quotient"),
    [
        ("1.5", 0, 0),
        ("0.3333333333333333333333", 1, 0),
        ("9007199254740993", 1, 1),
        ("0." + "0" * 399 + "1", 1, 1),
        ("0.00000000000000000000", 0, 0),
        ("-12345678901234567890.5", 1, 1),
    ],
)
def test_a_value_that_loses_digits_is_counted(text: str, in_a_table: int, in_a_quotient: int) -> None:
    texts = pa.array([text, None])
    for is_stored, expected in ((True, in_a_table), (False, in_a_quotient)):
        column = Column(name="x", oid=1700, is_stored=is_stored)
        assert count_rounded(texts, texts.cast(pa.float64()), column) == expected
