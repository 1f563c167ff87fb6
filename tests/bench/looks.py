"""How often 26 weekly trainings replace one champion wrongly, and how far small losses add up: ``make bench-looks``.

Each training is tested on the newest 14 days, half of which the previous training was also tested on. Daily differences have a
standard deviation of 1 and a margin of 1; half of their variance is the champion's, and so the same for all challengers.
"""

import argparse
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tidemill.metrics.differences import paired_difference
from tidemill.modeling.gate.comparison import Yardstick, weigh_anchor, weigh_champion
from tidemill.records import MetricValue, Verdict

from ..unit.modeling.gate.rivals import SOUND
from .output import say

Floats = npt.NDArray[np.float64]
Rng = np.random.Generator

N_WEEKS, N_DAYS, MARGIN, SEED = 26, 14, 1.0, 20130101
ALONE = Yardstick(metric="mean_absolute_error", sign=-1.0, margin=MARGIN, slice_margin=MARGIN, unit="day")


def difference(gains: Floats) -> MetricValue:
    """Measure daily gains as evaluation measures errors: one row a day, on which the other release errs by 100."""
    rows = np.full(len(gains), 100.0)
    return paired_difference(
        ALONE.metric, np.zeros(len(gains)), rows - gains, rows, np.arange(len(gains)), task="regression"
    )


def accepted(gains: Floats, look: int | None) -> bool:
    """Whether the gate finds a challenger no worse than the champion by the margin."""
    report = replace(SOUND, champion_difference=difference(gains), n_test=len(gains))
    return weigh_champion(report, replace(ALONE, look=look)).verdict is Verdict.ACCEPT


def no_worse_than_anchor(gains: Floats) -> bool:
    """Whether the gate finds a challenger no worse than an earlier champion by the margin."""
    report = replace(SOUND, anchor_release=2, anchor_difference=difference(gains))
    return all(found.verdict is Verdict.ACCEPT for found in weigh_anchor(report, ALONE))


def days(rng: Rng) -> Floats:
    """Return the day effects of a release over all weeks: half of the variance of a difference."""
    return rng.normal(scale=0.5**0.5, size=7 * N_WEEKS + N_DAYS)


def ever_accepted(truth: float, n_draws: int, rng: Rng, *, together: bool) -> float:
    """Return the share of half years in which any of 26 challengers with a given true gain is accepted."""
    found = 0
    for _ in range(n_draws):
        champion = days(rng)
        found += any(
            accepted(truth + (days(rng) - champion)[7 * week : 7 * week + N_DAYS], week + 1 if together else None)
            for week in range(N_WEEKS)
        )
    return found / n_draws


def creep(step: float, n_draws: int, rng: Rng, anchor: int | None) -> tuple[float, float]:
    """Return the mean number of promotions and the mean loss, in margins, if each challenger is worse by a step."""
    n_promoted, lost = 0, 0.0
    for _ in range(n_draws):
        chain = [(0.0, days(rng))]
        for week in range(N_WEEKS):
            quality, effects, window = chain[-1][0] - step, days(rng), slice(7 * week, 7 * week + N_DAYS)

            def gains(other: tuple[float, Floats], quality: float = quality, effects: Floats = effects) -> Floats:
                return quality - other[0] + effects - other[1]

            fine = accepted(gains(chain[-1])[window], None)
            if fine and anchor is not None and len(chain) > 1:
                fine = no_worse_than_anchor(gains(chain[max(len(chain) - 1 - anchor, 0)])[window])
            if fine:
                chain.append((quality, effects))
        n_promoted += len(chain) - 1
        lost -= chain[-1][0]
    return n_promoted / n_draws, lost / n_draws


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=400)
    n_draws = parser.parse_args().draws
    say(f"{n_draws} half years per line, {N_WEEKS} weekly trainings\n")
    say("| every challenger is | any accepted, `looks: each` | any accepted, `looks: together` |")
    say("|---|--:|--:|")
    for name, truth in (("worse by the margin", -MARGIN), ("equal", 0.0)):
        rates = (ever_accepted(truth, n_draws, np.random.default_rng(SEED), together=on) for on in (False, True))
        say(f"| {name} | {' | '.join(f'{rate:.1%}' for rate in rates)} |")
    say("\n| every challenger is worse by half the margin, `anchor` | promotions | loss, in margins |")
    say("|--:|--:|--:|")
    for anchor in (None, 5, 2):
        n_promoted, lost = creep(MARGIN / 2, n_draws // 4, np.random.default_rng(SEED), anchor)
        say(f"| {anchor or 'none'} | {n_promoted:.1f} | {lost:.1f} |")


if __name__ == "__main__":
    main()
