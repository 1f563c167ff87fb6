"""How often gate, intervals and alerts err: ``make bench-rates`` prints the table of docs/gate.md.

Each line simulates worlds whose true values are known, 1,000 by default: how often the gate would accept a challenger that is
worse by exactly the margin (2.5 % is right), how often a 95 % interval holds the truth, in how many quiet runs of 90 days the
``change`` alert is raised, how often a champion is wrongly replaced from the shadow, and how often weak slices are found
where one is planted and where none is (a tenth of the draws: a search takes a second). ``--only TEXT`` computes the lines
whose name contains a text.

Where few rows or whole numbers leave few possible differences, no test errs in exactly 2.5 % of cases. Such rates are printed
with the attainable one: of the cases that have an interval, the largest share up to 2.5 % which a test accepts that knows how
the difference is distributed.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from tidemill.metrics.definitions import METRICS, greater_is_better
from tidemill.metrics.differences import paired_difference
from tidemill.metrics.evaluation import evaluate, point_value
from tidemill.modeling.slices.weak import find_weak_slices
from tidemill.monitoring.calibration import fit_curve
from tidemill.monitoring.change import change_alerts, detect_change
from tidemill.monitoring.estimate import estimate_binary
from tidemill.records import Role

from ..unit.modeling.slices.worlds import MEASURES, is_planted, scored_rows
from .attainable import of_shares, of_values
from .output import say
from .shadow import NOISE, wrongly_replaced
from .worlds import Days, OtherDays

Floats = npt.NDArray[np.float64]
Rng = np.random.Generator
Rates = Mapping[str, "float | Accepts"]

SEED = 20130101
WRONG_ACCEPTS = (0.015, 0.035)
COVERAGE = (0.93, 0.97)
FALSE_ALARMS = (0.0, 0.02)
FOUND = (0.95, 1.0)
FALSELY_FOUND = (0.0, 0.05)
N_QUIET = 90  # days of a run without a change
N_REFERENCE = 14  # days of the test set that the change alert compares with


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepts:
    """How often a challenger was accepted wrongly."""

    rate: float
    """Share of the draws."""
    attainable: float
    """Share that the best test would accept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One simulation: rates by metric, and their acceptable range."""

    name: str
    """What is simulated."""
    band: tuple[float, float]
    """Smallest and largest acceptable rate."""
    rates: Callable[[int, Rng], Rates]
    """Returns a rate per metric, given a number of draws and a random generator."""
    what: str = field(default="")
    """What the rate counts."""


def lines_of(what: str, band: tuple[float, float], rates: Mapping[str, Callable[[int, Rng], Rates]]) -> list[Line]:
    """Return a line for each simulation of one kind, by what it simulates."""
    return [Line(name=name, what=what, band=band, rates=of) for name, of in rates.items()]


def wrong_accepts(days: Days, metrics: tuple[str, ...], task: str = "binary") -> Callable[[int, Rng], Rates]:
    """Count how often the interval of a challenger that is worse by exactly the margin lies above minus the margin."""
    thresholds = {"threshold_a": days.threshold, "threshold_b": days.threshold}

    def rates(n_draws: int, rng: Rng) -> Rates:
        truth, keys = _true_differences(days.endless(), task, metrics), days.keys()
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in metrics}
        n_positive = []
        for _ in range(n_draws):
            y, a, b = _rivals(days, task, rng)
            n_positive.append(int(y.sum()))
            for name in metrics:
                one, sign = paired_difference(name, y, a, b, keys, task=task, **thresholds), _sign(name, task)
                least = min((sign * end for end in (one.low, one.high) if end is not None), default=np.nan)
                found[name].append((sign * (one.value - truth[name]), least - sign * truth[name]))
        return {name: _accepts(days, name, np.array(of), n_positive) for name, of in found.items()}

    return rates


def _accepts(days: Days, metric: str, found: Floats, n_positive: Sequence[int]) -> Accepts:
    """Return the rate of one metric, from the gain and the lower end of each draw, less the truth."""
    gains, least = found.T
    known = np.isfinite(least)
    best = np.full(len(found), of_values(gains))
    if metric == "recall":
        best = np.array([of_shares(n, *_found_by_one(days.endless())) for n in n_positive])
    return Accepts(rate=float((least > 0).mean()), attainable=float((best * known).mean()))


def _sign(metric: str, task: str) -> int:
    return 1 if greater_is_better(metric, task) else -1


def _rivals(days: Days, task: str, rng: Rng) -> tuple[Floats, Floats, Floats]:
    return days.rivals(rng) if task == "binary" else days.number_rivals(rng)


@cache
def _true_differences(endless: Days, task: str, metrics: tuple[str, ...]) -> Mapping[str, float]:
    y, a, b = _rivals(endless, task, np.random.default_rng(SEED))
    options = {"threshold": endless.threshold, "task": task}
    return {name: point_value(name, y, a, **options) - point_value(name, y, b, **options) for name in metrics}


@cache
def _found_by_one(endless: Days) -> tuple[float, float]:
    """Return the share of the positives that only the first model finds, and that only the second finds."""
    y, *scores = endless.rivals(np.random.default_rng(SEED))
    a, b = (score[y == 1] >= endless.threshold for score in scores)
    return float((a & ~b).mean()), float((b & ~a).mean())


def coverage(days: Days, task: str = "binary") -> Callable[[int, Rng], Rates]:
    """Count how often the interval of each metric that acceptance shows holds its true value."""

    def rates(n_draws: int, rng: Rng) -> Rates:
        names = METRICS[task]
        truth = _true_values(days.endless(), task, names)
        held, shown = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
        for _ in range(n_draws):
            for item in _evaluated(days, task, names, rng, days.keys()):
                if item.low is not None and item.high is not None and np.isfinite(item.low):
                    shown[item.name] += 1
                    held[item.name] += item.low <= truth[item.name] <= item.high
        return {name: held[name] / shown[name] for name in names if shown[name]}

    return rates


@cache
def _true_values(endless: Days, task: str, names: tuple[str, ...]) -> Mapping[str, float]:
    return {item.name: item.value for item in _evaluated(endless, task, names, np.random.default_rng(SEED), None)}


def _evaluated(days: Days, task: str, names: Sequence[str], rng: Rng, keys: npt.NDArray[np.str_] | None) -> Iterable:
    blocks = days.of_rows(np.arange(days.n)) if keys is None else keys
    about = {"blocks": blocks, "metrics": tuple(names)}
    if task == "binary":
        y, score, _ = days.rivals(rng)
        return evaluate(task, y, score, threshold=days.threshold, **about)
    if task == "regression":
        y, score, _ = days.number_rivals(rng)
        return evaluate(task, y, score, interval=(score - 1.5, score + 1.5), **about)
    return evaluate(task, *days.classes(rng), **about)


def estimated_quality(n_test: int, logit: float) -> Callable[[int, Rng], Rates]:
    """Count how often the interval of quality estimated before labels holds what is realised on a day of 900 rows."""
    threshold = float(expit(logit + 0.7))

    def day(rng: Rng, n: int) -> tuple[Floats, Floats]:
        x = rng.normal(size=n)
        return (rng.random(n) < expit(logit + x)).astype(float), expit(logit + 0.9 * x + 0.4 * rng.normal(size=n))

    def rates(n_draws: int, rng: Rng) -> Rates:
        held: dict[str, int] = {}
        shown: dict[str, int] = {}
        for _ in range(n_draws):
            y, score = day(rng, n_test)
            curve = fit_curve(y, score)
            if curve is None:
                continue
            y, score = day(rng, 900)
            probability, deviations = curve.probability(score), curve.deviations(score)
            for item in estimate_binary(score, probability, threshold=threshold, deviations=deviations):
                name = item.name.removeprefix("estimated_")
                realised = float(y.mean()) if name == "base_rate" else point_value(name, y, score, threshold)
                if item.low is not None and item.high is not None and np.isfinite(realised):
                    shown[name] = shown.get(name, 0) + 1
                    held[name] = held.get(name, 0) + (item.low <= realised <= item.high)
        return {name: held[name] / shown[name] for name in shown}

    return rates


def weak_slices(task: str, *, planted: bool) -> Callable[[int, Rng], Rates]:
    """Count how often a slice of 3 % with worse quality is found, or any where quality is the same everywhere."""
    measure = MEASURES[task]

    def rates(n_draws: int, rng: Rng) -> Rates:
        found = [
            find_weak_slices(measure, *(scored_rows(rng, task, planted=planted) for _ in range(2))).weak
            for _ in range(n_draws // 10)
        ]
        if not planted:
            return {measure.metric: float(np.mean([bool(weak) for weak in found]))}
        planted_found = [any(is_planted(one.value.slice or "") for one in weak) for weak in found]
        return {measure.metric: float(np.mean(planted_found))}

    return rates


def false_alarms(loss: Callable[[Rng, int], Floats]) -> Callable[[int, Rng], Rates]:
    """Count the runs of 90 quiet days in which the change alert is raised."""

    def rates(n_draws: int, rng: Rng) -> Rates:
        raised = 0
        for _ in range(n_draws):
            values = loss(rng, N_REFERENCE + N_QUIET)
            reference, quiet = values[:N_REFERENCE].tolist(), values[N_REFERENCE:]
            days = {f"{day:03}": float(value) for day, value in enumerate(quiet)}
            _, change = detect_change(days, reference)
            raised += change is not None or bool(change_alerts(change, loss="log_loss"))
        return {"change": raised / n_draws}

    return rates


def wrong_replacements(noise: str) -> Callable[[int, Rng], Rates]:
    """Count how often the champion is replaced, with a look after each day, where the truth lies on the border."""
    names = {Role.CHALLENGER: "promotion", Role.PREDECESSOR: "rollback"}
    return lambda n_draws, rng: {name: wrongly_replaced(noise, role, n_draws, rng) for role, name in names.items()}


def _persistent(rng: Rng, n: int) -> Floats:
    steps = rng.normal(size=n)
    for day in range(1, n):
        steps[day] = 0.3 * steps[day - 1] + np.sqrt(1 - 0.3**2) * steps[day]
    return steps


RARE = ("roc_auc", "average_precision", "recall", "f1")
NUMBERS = ("mean_absolute_error", "median_absolute_error")
_ACCEPTS = "wrong accepts"
LINES = lines_of(
    _ACCEPTS,
    WRONG_ACCEPTS,
    {
        "hourly, 14 days of 24 hours": wrong_accepts(Days(hourly=True, rows=120), ("roc_auc", "log_loss")),
        "daily, 7 days": wrong_accepts(Days(n=7), ("roc_auc", "log_loss")),
        "daily, 14 days": wrong_accepts(Days(), ("roc_auc", "log_loss", "f1")),
        "daily, 28 days": wrong_accepts(Days(n=28), ("roc_auc", "log_loss")),
        "weekly, 5 weeks": wrong_accepts(Days(n=5, rows=300, weekly=True), ("roc_auc", "log_loss")),
        "persistent days (AR 0.3), 14": wrong_accepts(Days(resemblance=0.3), ("roc_auc", "log_loss")),
        "persistent days (AR 0.3), 28": wrong_accepts(Days(n=28, resemblance=0.3), ("roc_auc", "log_loss")),
        "rare, about 4 positives": wrong_accepts(Days(rows=16, logit=-4.6), RARE),
        "rare, about 18 positives": wrong_accepts(Days(rows=70, logit=-4.6), RARE),
        "rare, about 40 positives": wrong_accepts(Days(rows=155, logit=-4.6), RARE),
        "rare, about 92 positives": wrong_accepts(Days(rows=360, logit=-4.6), RARE),
        "numbers, 14 days": wrong_accepts(Days(), NUMBERS, "regression"),
        "numbers with heavy tails": wrong_accepts(Days(heavy=True), NUMBERS, "regression"),
        "whole numbers": wrong_accepts(Days(rounded=True), NUMBERS, "regression"),
        "numbers, persistent days (AR 0.3)": wrong_accepts(Days(resemblance=0.3), NUMBERS, "regression"),
    },
)
LINES += lines_of(
    "coverage",
    COVERAGE,
    {
        "two classes, 14 days": coverage(Days()),
        "two classes, AR 0.3": coverage(Days(resemblance=0.3)),
        "two classes, 1 % positive": coverage(Days(logit=-4.6)),
        "three classes, 14 days": coverage(Days(), "multiclass"),
        "numbers, 14 days": coverage(Days(), "regression"),
        "whole numbers, 14 days": coverage(Days(rounded=True), "regression"),
        "estimated quality, 1,400 test rows": estimated_quality(1_400, -1.5),
        "estimated quality, 1 % positive": estimated_quality(12_600, -4.6),
    },
)
LINES += lines_of(
    "false alarms in 90 quiet days",
    FALSE_ALARMS,
    {
        "normal losses": false_alarms(lambda rng, n: rng.normal(size=n)),
        "skewed losses": false_alarms(lambda rng, n: rng.exponential(size=n)),
        "persistent losses (AR 0.3)": false_alarms(_persistent),
    },
)
LINES += [
    Line(name=f"{what}, 14 days", what="weak slices", band=band, rates=weak_slices(task, planted=planted))
    for task, of in (("binary", "two classes"), ("regression", "numbers"))
    for planted, band in ((True, FOUND), (False, FALSELY_FOUND))
    for what in (f"{of}, a slice of 3 % planted" if planted else f"{of}, none planted",)
]
LINES += lines_of("shadow, 60 daily looks", (0.0, 0.025), {noise: wrong_replacements(noise) for noise in NOISE})
LINES += lines_of("coverage", COVERAGE, {"numbers with heavy tails, 14 days": coverage(Days(heavy=True), "regression")})
LINES += lines_of(
    f"{_ACCEPTS}, other world",
    WRONG_ACCEPTS,
    {
        "daily, 7 days": wrong_accepts(OtherDays(n=7), ("roc_auc", "log_loss")),
        "daily, 14 days": wrong_accepts(OtherDays(), ("roc_auc", "log_loss", "f1")),
        "persistent days (MA 0.3), 28": wrong_accepts(OtherDays(n=28, resemblance=0.3), ("roc_auc", "log_loss")),
        "rare, about 18 positives": wrong_accepts(OtherDays(rows=43, logit=-4.6), RARE),
        "numbers, 7 days": wrong_accepts(OtherDays(n=7), NUMBERS, "regression"),
        "numbers, 14 days": wrong_accepts(OtherDays(), NUMBERS, "regression"),
        "numbers with heavy tails": wrong_accepts(OtherDays(heavy=True), NUMBERS, "regression"),
        "numbers, persistent days (MA 0.3)": wrong_accepts(OtherDays(resemblance=0.3), NUMBERS, "regression"),
    },
)
LINES += lines_of(
    "coverage, other world",
    COVERAGE,
    {
        "two classes, 14 days": coverage(OtherDays()),
        "two classes, 1 % positive": coverage(OtherDays(logit=-4.6)),
        "four classes, 14 days": coverage(OtherDays(), "multiclass"),
        "numbers, 7 days": coverage(OtherDays(n=7), "regression"),
        "numbers, 14 days": coverage(OtherDays(), "regression"),
        "numbers, MA 0.3": coverage(OtherDays(resemblance=0.3), "regression"),
    },
)


def main() -> None:
    """Print one row per line and metric."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--only", default="", help="text that the name of a line contains")
    options = parser.parse_args()
    chosen = [number for number, line in enumerate(LINES) if options.only in f"{line.what}: {line.name}"]
    say("| rate | simulated | expected | measured |")
    say("|---|---|---|---|")
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        for row in pool.map(table_row, chosen, [options.draws] * len(chosen)):
            say(row)


def simulate(number: int, n_draws: int) -> Rates:
    """Return the rates of a line by its number; a line's draws do not depend on the lines before it."""
    return LINES[number].rates(n_draws, np.random.default_rng([SEED, number]))


def table_row(number: int, n_draws: int) -> str:
    """Return a row of the table of docs/gate.md; rates outside the band are bold."""
    line = LINES[number]
    low, high = line.band
    rates = ", ".join(f"`{metric}` {_shown(rate, low, high)}" for metric, rate in simulate(number, n_draws).items())
    return f"| {line.what} | {line.name} | {_percent(low)} to {_percent(high)} | {rates} |"


def _shown(found: float | Accepts, low: float, high: float) -> str:
    rate = found.rate if isinstance(found, Accepts) else found
    if isinstance(found, Accepts) and rate < low and found.attainable < low:
        return f"{_percent(rate)} (attainable {_percent(found.attainable)})"
    return _percent(rate) if low <= rate <= high else f"**{_percent(rate)}**"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    main()
