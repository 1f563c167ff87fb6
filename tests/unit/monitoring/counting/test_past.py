import numpy as np
import pyarrow as pa
import pytest

from tidemill.monitoring.alerts.rules import AlertThresholds, raise_alerts
from tidemill.monitoring.breaks import count_groups, detect_breaks
from tidemill.monitoring.counting.past import (
    psi_of_past_blocks,
    rare_psi,
    usual_null_share,
    usual_psi,
    usual_unseen_share,
)
from tidemill.monitoring.distances import population_stability_index
from tidemill.monitoring.drift import detect_drift
from tidemill.monitoring.profile import build_profile, count_table


def _rows(n_blocks, of_block):
    blocks = np.repeat(np.arange(n_blocks), 100)
    return np.concatenate([of_block(i) for i in range(n_blocks)]), blocks


def test_each_block_is_compared_with_all_blocks_before_it():
    groups, blocks = np.array([0, 0, 1, 1, 0, 1]), np.array([0, 0, 1, 1, 2, 2])
    first, second = psi_of_past_blocks(groups, blocks, n_groups=2)
    assert (first, second) == (
        population_stability_index([2, 0], [0, 2]),
        population_stability_index([2, 2], [1, 1]),
    )


def test_blocks_that_resemble_each_other_were_never_far_apart():
    groups, blocks = _rows(40, lambda _: np.arange(100) % 10)
    assert usual_psi(groups, blocks, n_groups=10) == pytest.approx(0, abs=1e-12)


def test_a_feature_that_is_constant_within_a_day_was_always_far_apart():
    groups, blocks = _rows(40, lambda i: np.full(100, i % 7))
    assert usual_psi(groups, blocks, n_groups=7) > 3


def test_a_feature_that_is_constant_within_a_day_was_far_apart_in_two_weeks_too():
    groups, blocks = _rows(14, lambda i: np.full(100, i % 7))
    assert usual_psi(groups, blocks, n_groups=7) > 3


@pytest.mark.parametrize("n_blocks", [1, 2])
def test_one_or_two_blocks_say_nothing_of_the_past(n_blocks):
    groups, blocks = _rows(n_blocks, lambda i: np.arange(100) % 7)
    assert usual_psi(groups, blocks, n_groups=7) is None


@pytest.mark.parametrize("n_reference", [7, 10, 13, 14, 20, 28, 39])
def test_quiet_days_rarely_exceed_the_usual_index_of_few_blocks(n_reference):
    rng = np.random.default_rng(0)
    n_over = 0
    for _ in range(60):
        of_days = 0.6 * rng.normal(size=n_reference + 20)[:, None] + rng.normal(size=(n_reference + 20, 900))
        edges = np.quantile(of_days[:n_reference], np.linspace(0.1, 0.9, 9))
        groups = np.searchsorted(edges, of_days)
        usual = usual_psi(groups[:n_reference].ravel(), np.repeat(np.arange(n_reference), 900), n_groups=10)
        before = np.bincount(groups[:n_reference].ravel(), minlength=10)
        n_over += sum(
            population_stability_index(before, np.bincount(day, minlength=10)) > usual for day in groups[n_reference:]
        )
    assert n_over / 1200 < 0.08


def test_the_order_of_rows_within_the_table_does_not_matter():
    groups, blocks = _rows(20, lambda i: np.arange(100) * i % 7)
    order = np.random.default_rng(0).permutation(groups.size)
    assert usual_psi(groups[order], blocks[order], n_groups=7) == usual_psi(groups, blocks, n_groups=7)


def test_days_without_a_value_are_usual_where_they_have_been():
    is_null, blocks = _rows(40, lambda i: np.full(100, i % 4 == 0))
    assert usual_null_share(is_null, blocks) == 1.0


def test_fewer_than_14_blocks_say_nothing_of_nulls():
    is_null, blocks = _rows(13, lambda i: np.full(100, i % 4 == 0))
    assert usual_null_share(is_null, blocks) is None


def test_new_levels_are_usual_where_every_day_has_brought_some():
    levels, blocks = _rows(40, lambda i: np.r_[np.full(90, 0), np.arange(10) + 10 * i + 1])
    assert usual_unseen_share(levels, blocks) == pytest.approx(0.1)


def test_levels_that_never_change_leave_no_new_one():
    levels, blocks = _rows(40, lambda i: np.arange(100) % 7)
    assert usual_unseen_share(levels, blocks) == 0.0


def test_rows_without_a_value_are_no_new_level():
    levels, blocks = _rows(40, lambda i: np.full(100, -1 if i % 2 else 0))
    assert usual_unseen_share(levels, blocks) == 0.0


def test_a_fleet_that_grows_every_day_raises_no_alert_and_a_renaming_does():
    def day(i: int, prefix: str = "N") -> list[str]:
        return [f"{prefix}{k}" for k in range(90)] + [f"N{100 + 5 * i + k % 5}" for k in range(10)]

    rows = pa.table({"plane": [plane for i in range(30) for plane in day(i)]})
    reference = build_profile(rows, [], ["plane"], blocks=np.repeat(np.arange(30), 100))
    for planes, rules in ((day(31), set()), (day(31, "X"), {"unseen:plane"})):
        figures = detect_drift(reference, count_table(reference, pa.table({"plane": planes})))
        assert {alert.rule for alert in raise_alerts(figures, AlertThresholds()) if alert.family == "unseen"} == rules


def test_fewer_than_14_blocks_say_nothing_of_new_levels():
    levels, blocks = _rows(13, lambda i: np.arange(100))
    assert usual_unseen_share(levels, blocks) is None


def test_the_rare_index_is_that_of_the_second_rainiest_day():
    n_wet = np.zeros(30, int)
    n_wet[[4, 9, 20]] = 100, 80, 60
    groups, blocks = _rows(30, lambda i: (np.arange(100) < n_wet[i]).astype(int))
    others = n_wet.sum() - n_wet[9]
    expected = population_stability_index([2900 - others, others], [20, 80])
    assert rare_psi(groups, blocks, n_groups=2) == pytest.approx(expected)


def test_one_broken_day_of_the_past_excuses_nothing():
    groups, blocks = _rows(30, lambda i: np.full(100, int(i == 9)))
    assert rare_psi(groups, blocks, n_groups=2) < 0.1


def test_under_two_weeks_no_day_is_rare():
    groups, blocks = _rows(13, lambda i: np.arange(100) % 7)
    assert rare_psi(groups, blocks, n_groups=7) is None


@pytest.mark.parametrize(("n_wet_days", "broken"), [(0, True), (1, True), (2, False)])
def test_rain_after_dry_weeks_is_no_break_if_the_reference_had_two_such_days(n_wet_days, broken):
    wet, n_days = np.arange(5, 5 + n_wet_days), 90  # long before the newest 28
    day = lambda i, rain: pa.table({"rain": [1.0 if rain else 0.0] * 50 + [0.0]})  # noqa: E731 - a row stays dry
    tables = [day(i, i in wet) for i in range(n_days)]
    rows, blocks = pa.concat_tables(tables), np.repeat(np.arange(n_days), 51)
    reference = build_profile(rows, ["rain"], [], blocks=blocks)
    today = count_table(reference, day(n_days, True))
    dry = count_groups(reference, count_table(reference, day(0, False)))
    figures = (*detect_drift(reference, today), *detect_breaks(reference, today, [dry] * 28))
    found = {alert.rule for alert in raise_alerts(figures, AlertThresholds())}
    assert ("break:rain" in found) == broken
