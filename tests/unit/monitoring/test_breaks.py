import numpy as np
import pyarrow as pa
import pytest

from tidemill.monitoring.alerts.rules import AlertThresholds, raise_alerts
from tidemill.monitoring.breaks import FeatureCounts, count_groups, detect_breaks
from tidemill.monitoring.drift import detect_drift
from tidemill.monitoring.profile import build_profile, count_table

N_DAYS, PER_DAY = 60, 300


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(20130701)


def day(rng, number, **changes):
    """A day of a source: a steady number, one that is another every day, one with a season, a category."""
    columns = {
        "distance": rng.gamma(4, 250, PER_DAY),
        "temp": rng.normal(rng.normal(60, 12), 2, PER_DAY),
        "season": rng.normal(number / 4, 1, PER_DAY),
        "carrier": rng.choice(list("ABCD"), PER_DAY, p=[0.4, 0.3, 0.2, 0.1]).tolist(),
    }
    return pa.table(columns | {name: change(np.array(columns[name])) for name, change in changes.items()})


@pytest.fixture(scope="module")
def past(rng):
    days = [day(rng, number) for number in range(N_DAYS)]
    blocks = np.repeat(np.arange(N_DAYS), PER_DAY)
    reference = build_profile(pa.concat_tables(days), ["distance", "temp", "season"], ["carrier"], blocks=blocks)
    newest = [count_groups(reference, count_table(reference, day(rng, N_DAYS + number))) for number in range(28)]
    return reference, newest


def rules(rng, past, number=N_DAYS + 28, **changes):
    reference, newest = past
    analysis = count_table(reference, day(rng, number, **changes))
    figures = (*detect_drift(reference, analysis), *detect_breaks(reference, analysis, newest))
    return {alert.rule for alert in raise_alerts(figures, AlertThresholds()) if alert.rule.startswith("break")}


def test_ordinary_days_break_nothing(rng, past):
    broken = [rules(rng, past) for _ in range(40)]
    assert sum(map(bool, broken)) <= 1


@pytest.mark.parametrize("column", ["distance", "temp", "season"])
def test_another_unit_is_seen_on_the_first_day(rng, past, column):
    assert rules(rng, past, **{column: lambda values: values * 1000}) == {f"break:{column}"}


def test_another_unit_is_seen_where_most_values_are_zero(rng):
    """The mean stays within the range: 5 % of the values are a thousandth of it, times 1,000."""
    mostly_zero = past_of_rain(rng)
    wet = np.where(np.arange(PER_DAY) < 15, 0.02, 0.0)
    assert rain_rules(mostly_zero, wet) == set()
    assert rain_rules(mostly_zero, wet * 1000) == {"break:rain"}


def test_a_few_typing_errors_break_nothing(rng):
    few = np.where(np.arange(PER_DAY) < 4, 50.0, 0.0)
    assert rain_rules(past_of_rain(rng), few) == set()


def test_a_storm_heavier_than_any_before_is_not_another_unit(rng):
    reference, newest = past_of_rain(rng)
    storm = count_table(reference, pa.table({"rain": np.full(PER_DAY, 7.0)}))
    (figure, *_) = detect_breaks(reference, storm, newest)
    assert (figure.name, 0 < figure.value < 1) == ("beyond_range", True)


def past_of_rain(rng):
    """Sixty days on which it rains up to 4 inches on one day of five, and the newest 28, of the same kind."""
    days = [pa.table({"rain": np.full(PER_DAY, 4 * rng.random() if number % 5 == 0 else 0.0)}) for number in range(88)]
    blocks = np.repeat(np.arange(60), PER_DAY)
    reference = build_profile(pa.concat_tables(days[:60]), ["rain"], [], blocks=blocks)
    return reference, [count_groups(reference, count_table(reference, table)) for table in days[60:]]


def rain_rules(past, values):
    reference, newest = past
    analysis = count_table(reference, pa.table({"rain": values}))
    figures = (*detect_drift(reference, analysis), *detect_breaks(reference, analysis, newest))
    return {alert.rule for alert in raise_alerts(figures, AlertThresholds()) if alert.rule.startswith("break")}


def test_kilometres_for_miles_are_seen(rng, past):
    assert rules(rng, past, distance=lambda values: values * 1.609) == {"break:distance"}


def test_a_default_instead_of_a_value_is_seen(rng, past):
    assert rules(rng, past, distance=lambda values: values * 0) == {"break:distance"}


def test_a_renamed_category_is_seen(rng, past):
    assert rules(rng, past, carrier=lambda values: np.where(values == "B", "Bee", values).tolist()) == {"break:carrier"}


def test_two_categories_that_became_one_are_seen(rng, past):
    assert rules(rng, past, carrier=lambda values: np.where(values == "B", "A", values).tolist()) == {"break:carrier"}


def test_a_season_is_no_break(rng, past):
    assert rules(rng, past, number=N_DAYS + 32) == set()


def test_with_less_than_two_weeks_before_it_nothing_is_usual(rng, past):
    reference, newest = past
    figures = detect_breaks(reference, count_table(reference, day(rng, 0)), newest[:13])
    assert {figure.name for figure in figures} == {"beyond_range"}


def test_a_partition_without_rows_breaks_nothing(rng, past):
    reference, newest = past
    assert detect_breaks(reference, count_table(reference, day(rng, 0)[:0]), newest) == ()


def test_days_counted_into_other_groups_are_left_out(rng, past):
    reference = past[0]
    foreign = [(FeatureCounts(name="distance", groups=(1, 2)),)] * 28
    figures = detect_breaks(reference, count_table(reference, day(rng, 0)), foreign)
    assert {figure.name for figure in figures} == {"beyond_range"}


def test_counts_survive_json(past):
    _, newest = past
    assert [FeatureCounts.from_dict(item.to_dict()) for item in newest[0]] == list(newest[0])
