"""How the shadow errs with a look after every day, and how soon it decides: ``make bench-shadow`` prints two tables.

Daily gains are simulated with a known mean; their standard deviation is 1, so that a distance is an effect size.
"""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from tidemill.modeling.gate.shadow import decide_shadow
from tidemill.records import Role, Shadow, Verdict

from .output import say

Floats = npt.NDArray[np.float64]
Rng = np.random.Generator

N_DAYS = 60
MARGIN = 1.0
SEED = 20130101


def _persistent(rng: Rng, n: int) -> Floats:
    steps = rng.normal(size=n)
    for day in range(1, n):
        steps[day] = 0.2 * steps[day - 1] + np.sqrt(1 - 0.2**2) * steps[day]
    return steps


NOISE: dict[str, Callable[[Rng, int], Floats]] = {
    "normal days": lambda rng, n: rng.normal(size=n),
    "days with heavy tails": lambda rng, n: rng.standard_t(3, size=n) / np.sqrt(3),
    "skewed days": lambda rng, n: (rng.gamma(4, size=n) - 4) / 2,
    "days skewed the other way": lambda rng, n: (4 - rng.gamma(4, size=n)) / 2,
    "days like the day before (AR 0.2)": _persistent,
}


def shadow(role: Role) -> Shadow:
    """Return a comparison with a margin of one standard deviation."""
    start = datetime(2013, 1, 1, tzinfo=UTC)
    number = 1 if role is Role.CHALLENGER else None
    return Shadow(
        shadow_id=1, release_id=2, against=1, role=role, decision_id=number, start=start, end=start, margin=MARGIN
    )


def first_decision(role: Role, gains: Floats) -> tuple[Verdict, int]:
    """Look after every day, and return the first decision and its day."""
    compared = shadow(role)
    for day in range(1, len(gains) + 1):
        decision = decide_shadow(compared, gains[:day].tolist(), over=day == len(gains))
        if decision.verdict is not Verdict.NOT_ENOUGH_EVIDENCE:
            return decision.verdict, day
    raise AssertionError("the last day ends it")


def wrongly_replaced(noise: str, role: Role, n_draws: int, rng: Rng) -> float:
    """Return how often the champion is replaced where the truth lies exactly on the border."""
    border = -MARGIN if role is Role.CHALLENGER else MARGIN
    decided = (first_decision(role, border + NOISE[noise](rng, N_DAYS))[0] for _ in range(n_draws))
    return sum(verdict is Verdict.ACCEPT for verdict in decided) / n_draws


def time_to_decide(effect: float, n_draws: int, rng: Rng) -> tuple[float, float, float]:
    """Return the median day of the decision, and the shares replaced by day 14 and day 60, at a distance from the border."""
    found = [first_decision(Role.CHALLENGER, -MARGIN + effect + rng.normal(size=N_DAYS)) for _ in range(n_draws)]
    replaced = np.array([day if verdict is Verdict.ACCEPT else np.inf for verdict, day in found])
    return float(np.median(replaced)), float((replaced <= 14).mean()), float(np.isfinite(replaced).mean())


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=4000)
    n_draws = parser.parse_args().draws
    say(f"{n_draws} draws per line, {N_DAYS} days, a look after each\n")
    say("| days | false promotions | false rollbacks |")
    say("|---|--:|--:|")
    for noise in NOISE:
        rates = (
            wrongly_replaced(noise, role, n_draws, np.random.default_rng([SEED, number]))
            for number, role in enumerate(Role)
        )
        say(f"| {noise} | {' | '.join(f'{rate:.1%}' for rate in rates)} |")
    say("\n| distance from the border, in standard deviations of a day | median day | by day 14 | by day 60 |")
    say("|--:|--:|--:|--:|")
    for effect in (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0):
        median, soon, late = time_to_decide(effect, n_draws, np.random.default_rng([SEED, int(100 * effect)]))
        say(f"| {effect:g} | {f'{median:.0f}' if np.isfinite(median) else 'over 60'} | {soon:.0%} | {late:.0%} |")


if __name__ == "__main__":
    main()
