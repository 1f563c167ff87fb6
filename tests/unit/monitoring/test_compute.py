import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.monitoring.compute import StepFigures, compare_compute


def _run(wall_s=2.0, peak_rss_bytes=300, n_rows=None):
    return {"predict": StepFigures(wall_s=wall_s, cpu_s=1.0, peak_rss_bytes=peak_rss_bytes, n_rows=n_rows)}


def _values(metrics):
    return {metric.name: metric.value for metric in metrics}


def test_ratios_are_to_the_median_so_that_one_odd_run_does_not_count():
    history = [_run(w) for w in (2.0, 2.0, 2.0, 2.0, 90.0)]
    assert _values(compare_compute(_run(3.0), history))["wall_s_ratio"] == 1.5


def test_four_past_runs_are_too_few_for_a_ratio():
    assert "wall_s_ratio" not in _values(compare_compute(_run(), [_run()] * 4))


def test_figures_are_given_even_without_a_past():
    assert _values(compare_compute(_run(n_rows=100), [])) == {
        "wall_s": 2.0,
        "cpu_s": 1.0,
        "peak_rss_bytes": 300.0,
        "rows_per_s": 50.0,
    }


def test_a_step_without_rows_has_no_pace():
    assert "rows_per_s" not in _values(compare_compute(_run(), []))


def test_runs_without_the_step_do_not_count():
    history = [_run()] * 4 + [{}]
    assert "wall_s_ratio" not in _values(compare_compute(_run(), history))


def test_a_median_of_zero_gives_no_ratio():
    assert "wall_s_ratio" not in _values(compare_compute(_run(), [_run(0.0)] * 5))


def test_the_slice_names_the_step():
    assert {metric.slice for metric in compare_compute(_run(), [])} == {"step=predict"}


def test_a_ratio_tells_how_many_runs_it_rests_on():
    (ratio,) = [m for m in compare_compute(_run(), [_run()] * 7) if m.name == "wall_s_ratio"]
    assert ratio.n == 7


@given(st.floats(0.01, 1e4), st.integers(5, 20))
def test_a_run_like_all_others_has_a_ratio_of_one(wall_s, n_runs):
    ratio = _values(compare_compute(_run(wall_s), [_run(wall_s)] * n_runs))["wall_s_ratio"]
    assert ratio == pytest.approx(1.0)


def test_figures_survive_the_trip_through_json_types():
    figures = _run(n_rows=7)["predict"]
    assert StepFigures.from_dict(figures.to_dict()) == figures
