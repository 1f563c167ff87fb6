"""How often the gate errs: ``make bench-gate`` prints the table of docs/gate.md.

Pairs of models are made whose true difference in ROC AUC is known: worse by exactly the margin, equal, better by the
margin. Each pair is measured on 7, 14 or 28 days, which do not resemble the day before, resemble it as days did on the
flights (0.15), or twice that; and the gate decides. It must accept no more than 2.5 % of the first kind.
"""

import argparse
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import numpy.typing as npt

from tidemill.records import Verdict

from ..unit.modeling.gate.rivals import HANDICAPS, MARGIN, Days, judge, live_days
from .output import say

Floats = npt.NDArray[np.float64]

ROWS_PER_DAY = 100
N_DAYS = (7, 14, 28)
RESEMBLANCES = (0.0, 0.15, 0.3)
SEED = 20130101


def main() -> None:
    """Print one line a kind of pair, number of days and resemblance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000)
    n_pairs = parser.parse_args().pairs
    cells = [
        (truth, n_days, resemblance, n_pairs)
        for resemblance in RESEMBLANCES
        for n_days in N_DAYS
        for truth in HANDICAPS
    ]
    say(f"{n_pairs} pairs per line, margin {MARGIN}, {ROWS_PER_DAY} rows per day\n")
    say("| days | like the day before | challenger | accept | not enough evidence | reject | percentiles accept |")
    say("|--:|--:|---|--:|--:|--:|--:|")
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        for line in pool.map(simulate, cells):
            say(line)


def simulate(cell: tuple[str, int, float, int]) -> str:
    """Judge many pairs of one kind."""
    truth, n_days, resemblance, n_pairs = cell
    rng = np.random.default_rng([SEED, n_days, int(100 * resemblance), list(HANDICAPS).index(truth)])
    verdicts: Counter[Verdict] = Counter()
    n_naive = 0
    for _ in range(n_pairs):
        days = live_days(rng, n_days, ROWS_PER_DAY, resemblance=resemblance, handicap=HANDICAPS[truth])
        verdicts[judge(days)] += 1
        n_naive += truth == "worse by the margin" and naive_low(days, rng) > -MARGIN
    shares = " | ".join(
        f"{verdicts[verdict] / n_pairs:.1%}"
        for verdict in (Verdict.ACCEPT, Verdict.NOT_ENOUGH_EVIDENCE, Verdict.REJECT)
    )
    naive = f"{n_naive / n_pairs:.1%}" if truth == "worse by the margin" else ""
    return f"| {n_days} | {resemblance:g} | {truth} | {shares} | {naive} |"


def naive_low(days: Days, rng: np.random.Generator, n_draws: int = 200) -> float:
    """Return the lower end of the bootstrap's plain percentile interval over days, for comparison."""
    n_days = len(days.y)
    drawn = rng.multinomial(n_days, np.full(n_days, 1 / n_days), size=n_draws).astype(float)
    values = _auc(drawn, days.y, days.challenger) - _auc(drawn, days.y, days.champion)
    return float(np.percentile(values, 2.5))


def _auc(drawn: Floats, y: npt.NDArray[np.bool_], score: Floats) -> Floats:
    """Return the area of each draw of days, from the pairs in order of each two days."""
    positives = np.concatenate([score[day][y[day]] for day in range(len(y))])
    starts = np.cumsum([0, *y.sum(axis=1)[:-1]])
    below = np.array(
        [np.add.reduceat(np.searchsorted(np.sort(score[day][~y[day]]), positives), starts) for day in range(len(y))]
    )  # negatives of a day, positives of another
    in_order = np.einsum("rn,np,rp->r", drawn, below, drawn)
    return in_order / ((drawn @ y.sum(axis=1)) * (drawn @ (~y).sum(axis=1)))


if __name__ == "__main__":
    main()
