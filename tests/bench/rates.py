"""How often gate, intervals and alerts err: ``make bench-rates`` prints the table of docs/gate.md.

Each line simulates worlds whose true values are known, 1,000 by default: how often the gate would accept a challenger that is
worse by exactly the margin (2.5 % is right), how often a 95 % interval holds the truth, in how many quiet runs of 90 days the
``change`` alert is raised, how often a champion is wrongly replaced from the shadow, and how often weak slices are found
where one is planted and where none is. ``--only TEXT``
computes the lines whose name contains a text.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

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
from .output import say
from .shadow import NOISE, wrongly_replaced

Floats = npt.NDArray[np.float64]
Rng = np.random.Generator
Rates = Mapping[str, float]

SEED = 20130101
WRONG_ACCEPTS = (0.015, 0.035)
COVERAGE = (0.93, 0.97)
FALSE_ALARMS = (0.0, 0.02)
FOUND = (0.95, 1.0)
FALSELY_FOUND = (0.0, 0.05)
N_TRUTH = 40_000  # days from which the true value of a metric is computed
N_QUIET = 90  # days of a run without a change
N_REFERENCE = 14  # days of the test set that the change alert compares with


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """How the days of a simulated world vary."""

    n: int = 14
    """Days, or weeks."""
    rows: int = 100
    """Rows per day."""
    logit: float = -1.5
    """Log odds of the positive class on an average day."""
    resemblance: float = 0.0
    """Correlation of a day's effects with those of the day before."""
    heavy: bool = False
    """Whether errors of numbers have heavy tails."""
    rounded: bool = False
    """Whether labels and predictions are whole numbers."""
    hourly: bool = False
    """Whether partitions are hours that share the effects of their day."""

    def keys(self) -> npt.NDArray[np.str_]:
        """Return the partition key of each row."""
        days = np.array([f"{2000 + day // 336}-{1 + day // 28 % 12:02}-{1 + day % 28:02}" for day in range(self.n)])
        of_rows = np.repeat(days, self.rows)
        if not self.hourly:
            return of_rows
        hours = np.array([f"T{hour:02}+0000" for hour in range(24)])
        return np.char.add(of_rows, np.tile(hours[np.arange(self.rows) * 24 // self.rows], self.n))

    def effects(self, rng: Rng) -> Floats:
        """Return a standard normal effect of each row's day."""
        steps = rng.normal(size=self.n)
        for day in range(1, self.n):
            steps[day] = self.resemblance * steps[day - 1] + np.sqrt(1 - self.resemblance**2) * steps[day]
        return np.repeat(steps, self.rows)


def rivals(days: Days, rng: Rng) -> tuple[Floats, Floats, Floats]:
    """Return labels of two classes and the scores of two models, one of which leans on what changes from day to day."""
    u, n = days.effects(rng), days.n * days.rows
    first, second = rng.normal(size=n), rng.normal(size=n)
    y = rng.random(n) < expit(days.logit + first + (0.7 + 0.5 * u) * second)
    return y.astype(float), expit(days.logit + first + 0.3 * second), expit(days.logit + 0.9 * first + 0.6 * second)


def number_rivals(days: Days, rng: Rng) -> tuple[Floats, Floats, Floats]:
    """Return labels that are numbers and the predictions of two models."""
    u, n = days.effects(rng), days.n * days.rows
    x = rng.normal(size=n)
    noise = rng.standard_t(2.5, size=n) if days.heavy else rng.normal(size=n)
    y, a, b = x + 0.4 * u * x + noise, x, 0.8 * x + 0.1
    return (np.round(y), np.round(a), np.round(b)) if days.rounded else (y, a, b)


def endless(days: Days) -> Days:
    """Return many days of the same world, from which the true values are computed."""
    return replace(days, n=N_TRUTH, rows=100 if days.logit < -3 else 25, resemblance=0.0, hourly=False)


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


def wrong_accepts(days: Days, metrics: Sequence[str], task: str = "binary") -> Callable[[int, Rng], Rates]:
    """Count how often the interval of a challenger that is worse by exactly the margin lies above minus the margin."""
    draw = rivals if task == "binary" else number_rivals
    options = {"threshold": float(expit(days.logit + 0.7)), "task": task}
    pair = {"threshold_a": options["threshold"], "threshold_b": options["threshold"], "task": task}

    def rates(n_draws: int, rng: Rng) -> Rates:
        many = endless(days)
        y, a, b = draw(many, np.random.default_rng(SEED))
        truth = {name: point_value(name, y, a, **options) - point_value(name, y, b, **options) for name in metrics}
        wrong, keys = dict.fromkeys(metrics, 0), days.keys()
        for _ in range(n_draws):
            y, a, b = draw(days, rng)
            for name in metrics:
                found = paired_difference(name, y, a, b, keys, **pair)
                low, high = (
                    (found.low, found.high) if found.low is not None and found.high is not None else (np.nan,) * 2
                )
                wrong[name] += bool(low > truth[name] if greater_is_better(name, task) else high < truth[name])
        return {name: count / n_draws for name, count in wrong.items()}

    return rates


def coverage(days: Days, task: str = "binary") -> Callable[[int, Rng], Rates]:
    """Count how often the interval of each metric that acceptance shows holds its true value."""

    def rates(n_draws: int, rng: Rng) -> Rates:
        many = endless(days)
        names = METRICS[task]
        truth = {item.name: item.value for item in _evaluated(many, task, names, np.random.default_rng(SEED), None)}
        held, shown = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
        for _ in range(n_draws):
            for item in _evaluated(days, task, names, rng, days.keys()):
                if item.low is not None and item.high is not None and np.isfinite(item.low):
                    shown[item.name] += 1
                    held[item.name] += item.low <= truth[item.name] <= item.high
        return {name: held[name] / shown[name] for name in names if shown[name]}

    return rates


def _evaluated(days: Days, task: str, names: Sequence[str], rng: Rng, keys: npt.NDArray[np.str_] | None) -> Iterable:
    if task == "binary":
        y, score, _ = rivals(days, rng)
        blocks = np.arange(len(y)) // days.rows if keys is None else keys
        return evaluate(task, y, score, threshold=float(expit(days.logit + 0.7)), blocks=blocks, metrics=tuple(names))
    if task == "regression":
        y, score, _ = number_rivals(days, rng)
        ends = (score - 1.5, score + 1.5)
        blocks = np.arange(len(y)) // days.rows if keys is None else keys
        return evaluate(task, y, score, blocks=blocks, metrics=tuple(names), interval=ends)
    u, n = days.effects(rng), days.n * days.rows
    logits = rng.normal(size=(n, 3)) + np.array([0.5, 0.0, -0.5])
    score = np.exp(0.8 * logits) / np.exp(0.8 * logits).sum(axis=1, keepdims=True)
    logits[:, 0] += 0.4 * u
    y = (logits + rng.gumbel(size=(n, 3))).argmax(axis=1)
    blocks = np.arange(n) // days.rows if keys is None else keys
    return evaluate(task, y, score, blocks=blocks, metrics=tuple(names))


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
            for _ in range(n_draws)
        ]
        if not planted:
            return {measure.metric: sum(map(bool, found)) / n_draws}
        return {measure.metric: sum(any(is_planted(one.value.slice or "") for one in weak) for weak in found) / n_draws}

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
LINES = [
    Line(name=name, what=_ACCEPTS, band=WRONG_ACCEPTS, rates=rates)
    for name, rates in {
        "hourly, 14 days of 24 hours": wrong_accepts(Days(hourly=True, rows=120), ("roc_auc", "log_loss")),
        "daily, 7 days": wrong_accepts(Days(n=7), ("roc_auc", "log_loss")),
        "daily, 14 days": wrong_accepts(Days(), ("roc_auc", "log_loss", "f1")),
        "daily, 28 days": wrong_accepts(Days(n=28), ("roc_auc", "log_loss")),
        "weekly, 5 weeks": wrong_accepts(Days(n=5, rows=300), ("roc_auc", "log_loss")),
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
    }.items()
]
LINES += [
    Line(name=name, what="coverage", band=COVERAGE, rates=rates)
    for name, rates in {
        "two classes, 14 days": coverage(Days()),
        "two classes, AR 0.3": coverage(Days(resemblance=0.3)),
        "two classes, 1 % positive": coverage(Days(logit=-4.6)),
        "three classes, 14 days": coverage(Days(), "multiclass"),
        "numbers, 14 days": coverage(Days(), "regression"),
        "whole numbers, 14 days": coverage(Days(rounded=True), "regression"),
        "estimated quality, 1,400 test rows": estimated_quality(1_400, -1.5),
        "estimated quality, 1 % positive": estimated_quality(12_600, -4.6),
    }.items()
]
LINES += [
    Line(name=name, what="false alarms in 90 quiet days", band=FALSE_ALARMS, rates=false_alarms(loss))
    for name, loss in {
        "normal losses": lambda rng, n: rng.normal(size=n),
        "skewed losses": lambda rng, n: rng.exponential(size=n),
        "persistent losses (AR 0.3)": _persistent,
    }.items()
]
LINES += [
    Line(name=f"{what}, 14 days", what="weak slices", band=band, rates=weak_slices(task, planted=planted))
    for task, of in (("binary", "two classes"), ("regression", "numbers"))
    for planted, band in ((True, FOUND), (False, FALSELY_FOUND))
    for what in (f"{of}, a slice of 3 % planted" if planted else f"{of}, none planted",)
]


LINES += [
    Line(name=noise, what="shadow, 60 daily looks", band=(0.0, 0.025), rates=wrong_replacements(noise))
    for noise in NOISE
]


def main() -> None:
    """Print one row per line and metric."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--only", default="", help="text that the name of a line contains")
    options = parser.parse_args()
    say("| rate | simulated | metric | found | due | |")
    say("|---|---|---|--:|---|---|")
    for line in LINES:
        if options.only in f"{line.what}: {line.name}":
            for row in rows(line, options.draws):
                say(row)


def rows(line: Line, n_draws: int) -> list[str]:
    """Return the table rows of a line."""
    low, high = line.band
    found = line.rates(n_draws, np.random.default_rng([SEED, LINES.index(line)]))
    return [
        f"| {line.what} | {line.name} | `{metric}` | {rate:.1%} | {low:.1%} to {high:.1%} | "
        f"{'' if low <= rate <= high else 'below' if rate < low else 'above'} |"
        for metric, rate in found.items()
    ]


if __name__ == "__main__":
    main()
