"""Two simulated worlds whose days differ, of unlike distributions, so that rates are not those of one generator."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Floats = npt.NDArray[np.float64]
Rng = np.random.Generator
Rivals = tuple[Floats, Floats, Floats]

N_TRUTH = 40_000  # days from which the true value of a metric is computed


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Normal days, which follow an autoregression, and normal rows."""

    n: int = 14
    """Days, or weeks."""
    rows: int = 100
    """Rows per day, on average."""
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
    weekly: bool = False
    """Whether what is called a day is a week."""

    @property
    def threshold(self) -> float:
        """Score from which a row counts as positive."""
        return float(expit(self.logit + 0.7))

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Rows of each day."""
        return np.full(self.n, self.rows)

    def of_rows(self, of_days: npt.NDArray) -> npt.NDArray:
        """Return the value of each row's day."""
        return np.repeat(of_days, self.sizes)

    def keys(self) -> npt.NDArray[np.str_]:
        """Return the partition key of each row."""
        days = [f"{2000 + day // 336}-{1 + day // 28 % 12:02}-{1 + day % 28:02}" for day in range(self.n)]
        if self.weekly:
            days = [f"2000-W{1 + week:02}" for week in range(self.n)]
        of_rows = self.of_rows(np.array(days))
        if not self.hourly:
            return of_rows
        hours = np.array([f"T{hour:02}+0000" for hour in range(24)])
        return np.char.add(of_rows, np.tile(hours[np.arange(self.rows) * 24 // self.rows], self.n))

    def endless(self) -> "Days":
        """Return many days of the same world, from which the true values are computed."""
        return replace(
            self, n=N_TRUTH, rows=100 if self.logit < -3 else 25, resemblance=0.0, hourly=False, weekly=False
        )

    def effects(self, rng: Rng) -> Floats:
        """Return a standard normal effect of each day."""
        steps = rng.normal(size=self.n)
        for day in range(1, self.n):
            steps[day] = self.resemblance * steps[day - 1] + np.sqrt(1 - self.resemblance**2) * steps[day]
        return steps

    def rivals(self, rng: Rng) -> Rivals:
        """Return labels of two classes and the scores of two models, one of which leans on what changes from day to day."""
        u = self.of_rows(self.effects(rng))
        first, second = rng.normal(size=u.size), rng.normal(size=u.size)
        y = rng.random(u.size) < expit(self.logit + first + (0.7 + 0.5 * u) * second)
        scores = (first + 0.3 * second, 0.9 * first + 0.6 * second)
        return y.astype(float), expit(self.logit + scores[0]), expit(self.logit + scores[1])

    def number_rivals(self, rng: Rng) -> Rivals:
        """Return labels that are numbers and the predictions of two models."""
        u = self.of_rows(self.effects(rng))
        x = rng.normal(size=u.size)
        noise = rng.standard_t(2.5, size=u.size) if self.heavy else rng.normal(size=u.size)
        y, a, b = x + 0.4 * u * x + noise, x, 0.8 * x + 0.1
        return (np.round(y), np.round(a), np.round(b)) if self.rounded else (y, a, b)

    def classes(self, rng: Rng) -> tuple[npt.NDArray[np.int64], Floats]:
        """Return labels of three classes and the probabilities of a model."""
        u = self.of_rows(self.effects(rng))
        logits = rng.normal(size=(u.size, 3)) + np.array([0.5, 0.0, -0.5])
        score = np.exp(0.8 * logits) / np.exp(0.8 * logits).sum(axis=1, keepdims=True)
        logits[:, 0] += 0.4 * u
        return (logits + rng.gumbel(size=logits.shape)).argmax(axis=1), score


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherDays(Days):
    """Days of unequal size, with skewed effects that follow a moving average, and skewed rows with rare large errors."""

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Rows of each day: fewer at weekends."""
        week = np.array([1.15, 1.1, 1.1, 1.1, 1.15, 0.8, 0.6])
        return np.rint(self.rows * np.resize(week, self.n)).astype(np.int64)

    def effects(self, rng: Rng) -> Floats:
        """Return a standard normal effect of each day."""
        angle = 0.5 * np.arcsin(2 * self.resemblance)  # so that neighbours have this correlation
        steps = rng.normal(size=self.n + 1)
        return np.asarray(np.cos(angle) * steps[1:] + np.sin(angle) * steps[:-1])

    def rivals(self, rng: Rng) -> Rivals:
        """Return labels whose share and whose signal change by day, and two models, one of which sees noise."""
        signal = self.of_rows(np.exp(0.3 * self.effects(rng)))
        level = self.of_rows(0.4 * rng.standard_t(5, size=self.n))
        x, z = rng.exponential(size=signal.size) - 1, 0.55 * rng.logistic(size=signal.size)
        y = rng.random(x.size) < expit(self.logit + level + 1.1 * signal * x + 0.5 * z)
        a = expit(self.logit + x + 0.2 * rng.normal(size=x.size))
        return y.astype(float), a, expit(self.logit + 0.8 * x + 0.7 * z)

    def number_rivals(self, rng: Rng) -> Rivals:
        """Return positive labels whose errors grow with them, on days that are larger or smaller as a whole."""
        volume = self.of_rows(np.exp(0.25 * self.effects(rng)))
        level = self.of_rows(0.3 * rng.standard_t(5, size=self.n))
        x, spread = rng.gamma(2.0, size=volume.size), 1.0 if self.heavy else 0.5
        y = x * volume * np.exp(spread * rng.normal(size=x.size) - spread**2 / 2) + level
        return y, x, 0.85 * x + 0.4

    def classes(self, rng: Rng) -> tuple[npt.NDArray[np.int64], Floats]:
        """Return labels of four classes, one of them rare, and the probabilities of an overconfident model."""
        shift = self.of_rows(np.exp(0.4 * self.effects(rng)))
        logits = rng.laplace(size=(shift.size, 4)) * shift[:, None] + np.array([1.0, 0.3, 0.0, -1.5])
        score = np.exp(1.2 * logits) / np.exp(1.2 * logits).sum(axis=1, keepdims=True)
        return (logits + rng.gumbel(size=logits.shape)).argmax(axis=1), score
