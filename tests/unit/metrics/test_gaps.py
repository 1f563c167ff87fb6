import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, mean_absolute_error

from tidemill.metrics.gaps import group_gaps

N, DAYS = 4000, np.arange(4000) * 14 // 4000


def of_two(rng):
    score = rng.random(N)
    return (rng.random(N) < score).astype(float), score, rng.choice(["f", "m", "x"], size=N)


def rates(y, score, threshold):
    tn, fp, fn, tp = confusion_matrix(y, score >= threshold).ravel()
    return {
        "selection_rate": (tp + fp) / len(y),
        "true_positive_rate": tp / (tp + fn),
        "false_positive_rate": fp / (fp + tn),
        "calibration": score.mean() - y.mean(),
        "error": (fp + fn) / len(y),
    }


def test_gaps_of_two_classes_are_those_of_the_confusion_matrices():
    y, score, sex = of_two(np.random.default_rng(0))
    found = {(gap.name, gap.slice): gap for gap in group_gaps("binary", y, score, {"sex": sex}, DAYS, threshold=0.4)}
    assert len(found) == 15
    for group in "fmx":
        ours, others = (rates(y[rows], score[rows], 0.4) for rows in (sex == group, sex != group))
        for name in ours:
            gap = found[f"gap_{name}", f"sex={group}"]
            assert gap.value == pytest.approx(ours[name] - others[name])
            assert gap.low < gap.value < gap.high
            assert gap.n == (sex == group).sum()


def test_gaps_of_numbers_are_those_of_the_errors():
    rng = np.random.default_rng(1)
    y, region = rng.normal(size=N), rng.choice(["n", "s"], size=N)
    score = y + rng.normal(size=N) + 0.5 * (region == "n")
    found = {
        gap.name: gap.value for gap in group_gaps("regression", y, score, {"region": region}, DAYS) if "=n" in gap.slice
    }
    north, south = region == "n", region == "s"
    assert found["gap_error"] == pytest.approx(
        mean_absolute_error(y[north], score[north]) - mean_absolute_error(y[south], score[south])
    )
    assert found["gap_calibration"] == pytest.approx((score - y)[north].mean() - (score - y)[south].mean())


def test_gaps_of_classes_are_those_of_the_answers():
    rng = np.random.default_rng(2)
    score = rng.dirichlet([1.0, 1.0, 1.0], size=N)
    y, region = rng.choice(["a", "b", "c"], size=N), rng.choice(["n", "s"], size=N)
    found = group_gaps("multiclass", y, score, {"region": region}, DAYS, classes=("a", "b", "c"))
    wrong = np.array(["a", "b", "c"])[score.argmax(axis=1)] != y
    (error,) = (gap for gap in found if gap.name == "gap_error" and gap.slice == "region=n")
    assert error.value == pytest.approx(wrong[region == "n"].mean() - wrong[region == "s"].mean())
    assert len(found) == 4


def test_the_interval_holds_the_true_gap_as_often_as_it_states():
    rng, held = np.random.default_rng(3), 0
    for _ in range(200):
        effect = 0.1 * rng.normal(size=14)[DAYS]
        sex = np.where(rng.random(N) < 0.3, "f", "m")
        score = np.clip(0.4 + 0.1 * rng.normal(size=N), 0.01, 0.99)
        y = (rng.random(N) < np.clip(score + effect - 0.05 * (sex == "f"), 0, 1)).astype(float)
        gap = next(g for g in group_gaps("binary", y, score, {"sex": sex}, DAYS) if g.name == "gap_calibration")
        held += gap.low <= 0.05 <= gap.high
    assert 0.89 <= held / 200 <= 0.99


def test_a_group_of_few_rows_is_left_out_and_missing_values_are_a_group():
    y, score, sex = of_two(np.random.default_rng(4))
    groups = np.array([None if one == "x" else one for one in sex], dtype=object)
    groups[:29] = "rare"
    found = group_gaps("binary", y, score, {"sex": groups}, DAYS)
    assert {gap.slice for gap in found} == {"sex=f", "sex=m", "sex=missing"}


def test_a_gap_on_fewer_than_five_days_has_no_interval():
    y, score, sex = of_two(np.random.default_rng(5))
    found = group_gaps("binary", y, score, {"sex": sex}, np.arange(N) % 4)
    assert {(gap.low, gap.standard_error) for gap in found} == {(None, None)}
    assert all(np.isfinite(gap.value) for gap in found)


def test_what_a_group_does_not_define_is_left_out():
    y, score, sex = of_two(np.random.default_rng(6))
    y[sex == "f"] = 0
    found = {(gap.name, gap.slice) for gap in group_gaps("binary", y, score, {"sex": sex}, DAYS)}
    assert ("gap_true_positive_rate", "sex=f") not in found
    assert ("gap_false_positive_rate", "sex=f") in found


def test_figures_without_variance_are_plain_floats_that_a_database_takes() -> None:
    y, score = np.zeros(200), np.full(200, 0.1)
    groups = {"size": np.array(["small", "large"] * 100, dtype=object)}
    found = [figure for figure in group_gaps("binary", y, score, groups, threshold=0.5) if figure.low is not None]
    assert found
    assert {type(end) for figure in found for end in (figure.low, figure.high)} == {float}
