"""Hours of one day are one observation in monitoring, too."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from tidemill.intervals import Every, Interval
from tidemill.metrics.student import half_width
from tidemill.monitoring.arrival import Arrival
from tidemill.monitoring.change import Change
from tidemill.monitoring.retrain_policy import PartitionFigure, RetrainEvidence, RetrainPolicy, decide_retraining
from tidemill.records import MetricValue
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.steps.findings.days import whole_days
from tidemill.steps.monitor.monitor import _by_day
from tidemill.steps.monitor.outlook import WatchedLoss, loss_change
from tidemill.steps.train.retrain import _mean_figure

N_RUNS, N_REFERENCE, N_QUIET = 40, 14, 90
START = datetime(2024, 1, 1, tzinfo=UTC)


def spec_of(every: Every, timezone: str = "UTC") -> ModelSpec:
    partitions = SimpleNamespace(every=every)
    return cast(
        ModelSpec,
        SimpleNamespace(
            model="m",
            has_time=True,
            timezone=timezone,
            partitions=partitions,
            accept=SimpleNamespace(metric="roc_auc"),
            partition=lambda key: every.of(key, timezone),
        ),
    )


def hours_of(start: datetime, n: int, timezone: str = "UTC") -> list[str]:
    within = Every.HOUR.within(Interval(start=start, end=start + timedelta(hours=n)), timezone)
    return [partition.key for partition in within]


KEYS = hours_of(START, 24 * (N_REFERENCE + N_QUIET))


def job_of(values: Iterable[float], name: str = "log_loss") -> Job:
    figures = {
        key: (MetricValue(name=name, value=float(value), n=100, label_coverage=1.0),)
        for key, value in zip(KEYS[24 * N_REFERENCE :], values, strict=False)
    }

    def metrics(model: str, part: str, metric: str = "", *, since: str = "", until: str) -> dict:
        return {key: found for key, found in figures.items() if since <= key <= until}

    end = SimpleNamespace(cutoff=START + timedelta(days=200))
    return cast(Job, SimpleNamespace(spec=spec_of(Every.HOUR), partition=end, ledger=SimpleNamespace(metrics=metrics)))


def hourly(rng: np.random.Generator, rise: float = 0.0) -> np.ndarray:
    """Losses of hours that share the effects of their day."""
    days = 0.65 * rng.normal(size=N_REFERENCE + N_QUIET)
    days[-N_QUIET // 2 :] += rise
    return np.repeat(days, 24) + rng.normal(size=24 * len(days))


def change_in(losses: np.ndarray) -> Change | None:
    reference = losses[: 24 * N_REFERENCE].reshape(-1, 24).mean(axis=1).tolist()
    watched = WatchedLoss(loss="log_loss", beyond_estimate=False, reference=tuple(reference))
    arrival = cast(Arrival, SimpleNamespace(has_enough=lambda share, hours: True))
    job = job_of(losses[24 * N_REFERENCE :])
    return loss_change(job, watched, KEYS, KEYS[-1], arrival)[1]


def test_hours_that_share_the_effects_of_their_day_raise_no_change() -> None:
    rng = np.random.default_rng(0)
    assert sum(change_in(hourly(rng)) is not None for _ in range(N_RUNS)) <= 2


def test_a_lasting_rise_of_hourly_losses_is_dated_to_its_day() -> None:
    change = change_in(hourly(np.random.default_rng(1), rise=2.5))
    assert change is not None
    assert "2024-02-26" <= change.since <= "2024-03-04"


def test_a_days_hours_ask_for_no_training_by_what_they_share() -> None:
    rng, n_asked = np.random.default_rng(2), 0
    for _ in range(N_RUNS):
        values = 0.7 + 0.03 * hourly(rng) / 0.65
        days = values.reshape(-1, 24).mean(axis=1)
        test, quiet = days[:N_REFERENCE].tolist(), values[24 * N_REFERENCE :]
        half, middle = half_width(test), float(np.mean(test))
        accepted = MetricValue(
            name="roc_auc", value=middle, low=middle - half, high=middle + half, n_blocks=N_REFERENCE
        )
        known = {
            key: PartitionFigure(partition=key, value=float(value), label_coverage=1.0)
            for key, value in zip(KEYS[24 * N_REFERENCE :], quiet, strict=True)
        }
        of_days = tuple(
            _mean_figure(day, [known[key] for key in keys])
            for day, keys in whole_days(spec_of(Every.HOUR), known).items()
        )
        assert len(of_days) == N_QUIET
        n_asked += any(
            decide_retraining(
                RetrainEvidence(
                    as_of=START, trained_until=START, quality=of_days[end - 5 : end], acceptance=accepted, lead=0.2
                ),
                RetrainPolicy(),
            ).accepted
            for end in range(5, 56)
        )
    assert n_asked <= 2


@pytest.mark.parametrize(
    ("zone", "day", "n"),
    [("UTC", 5, 24), ("America/New_York", 3, 25), ("Europe/Berlin", 5, 24), ("Asia/Kolkata", 5, 24)],
)
def test_a_day_counts_once_all_its_hours_are_there(zone: str, day: int, n: int) -> None:
    spec = spec_of(Every.HOUR, zone)
    keys = [partition.key for partition in Every.HOUR.within(Every.DAY.of(f"2024-11-{day:02}", zone).interval, zone)]
    assert len(keys) == n
    assert whole_days(spec, keys[:-1]) == {}
    assert {name: len(hours) for name, hours in whole_days(spec, keys).items()} == {f"2024-11-{day:02}": n}


def test_longer_partitions_are_their_own_days() -> None:
    assert whole_days(spec_of(Every.WEEK), ["2024-W02", "2024-W01"]) == {
        "2024-W01": ("2024-W01",),
        "2024-W02": ("2024-W02",),
    }


def test_recent_quality_of_hours_is_that_of_the_newest_whole_days() -> None:
    job = job_of(np.repeat(np.arange(10.0), 24), "roc_auc")
    known = job.ledger.metrics("m", "performance", until=KEYS[24 * 23 + 2])  # three hours of the tenth day
    found = _by_day(job, dict(list(known.items())[-7:]))
    assert [figures[0].value for figures in found] == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
