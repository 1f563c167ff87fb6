import pyarrow as pa

from tidemill.operations.comparison import row_differences

KEYS = [f"k{number}" for number in range(9)]


def table(**columns: list[int]) -> pa.Table:
    return pa.table({"k": KEYS, **columns})


def test_equal_tables_differ_in_nothing() -> None:
    assert row_differences(table(x=list(range(9))), table(x=list(range(9))), "k") == ()


def test_the_cause_comes_before_what_it_has_spread_to() -> None:
    then = table(mean=[0] * 9, cause=[0] * 9)
    now = table(mean=[1] * 9, cause=[0] * 8 + [9])
    assert row_differences(then, now, "k") == (
        "1 row(s) differ in 'cause' (k8)",
        "9 row(s) differ in 'mean' (k0, k1, k2 and 6 more)",
    )


def test_of_many_columns_only_those_that_differ_most_are_named() -> None:
    then = table(**{name: [0] * 9 for name in "abcdef"})
    now = table(**{name: [0] * (8 - place) + [1] * (place + 1) for place, name in enumerate("abcdef")})
    assert row_differences(then, now, "k")[2:] == (
        "3 row(s) differ in 'c' (k6, k7, k8)",
        "up to 6 row(s) differ in 'd', 'e', 'f'",
    )
