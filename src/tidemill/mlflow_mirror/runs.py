"""Parts of a training in MLflow: nested runs of estimators and trials, data sets, and costs."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta

from tidemill.records import BundleRef, SnapshotRef, SplitRef, Trial
from tidemill.storage.layout import FEATURES
from tidemill.storage.store import Store
from tidemill.storage.trials import TRIALS
from tidemill.tracking import Child, DataUsed
from tidemill.warehouse.releases.costs import FitCost

__all__ = ["children", "data_used", "system"]


def children(
    store: Store, bundles: Sequence[BundleRef], costs: Mapping[str, FitCost], metric: str
) -> tuple[Child, ...]:
    """Return a nested run per estimator, each with a nested run per trial of its search.

    Parameters
    ----------
    bundles : sequence of BundleRef
        All trained bundles, including baselines.
    costs : mapping of str to FitCost
        Their costs, by digest of the bundle.
    """
    found: list[Child] = []
    for bundle in bundles:
        cost = costs.get(bundle.digest)
        if cost is not None:  # otherwise its run, and with it the start time, is gone from the ledger
            found.append(_estimator(bundle, cost, metric))
            found += _trials(store, bundle, cost, metric)
    return tuple(found)


def system(costs: Collection[FitCost]) -> dict[str, float]:
    """Return the costs of some fits, under the names of MLflow's system metrics."""
    if not costs:
        return {}
    return {
        "system/wall_seconds": sum(cost.wall_s for cost in costs),
        "system/cpu_seconds": sum(cost.cpu_s for cost in costs),
        "system/peak_rss_megabytes": max(cost.peak_rss_bytes for cost in costs) / 1e6,
    }


def data_used(snapshot: SnapshotRef, split: SplitRef) -> tuple[DataUsed, ...]:
    """Return the snapshot's features and the three sets, one file each, as data sets that MLflow lists without a copy."""
    name = f"{snapshot.model} {snapshot.partition}"
    whole = DataUsed(
        name=name, digest=snapshot.digest, uri=f"{snapshot.uri}/{FEATURES}", n_rows=snapshot.n_rows, context="snapshot"
    )
    sets = (
        ("train", "training", split.n_train),
        ("validation", "validation", split.n_validation),
        ("test", "test", split.n_test),
    )
    return whole, *(
        DataUsed(
            name=f"{name} {context}",
            digest=split.digest,
            uri=f"{split.uri}/{part}.parquet",
            n_rows=n_rows,
            context=context,
        )
        for part, context, n_rows in sets
    )


def _estimator(bundle: BundleRef, cost: FitCost, metric: str) -> Child:
    figures = {
        f"validation_{metric}": bundle.validation_score,
        "fit_seconds": bundle.fit_s,
        "size_bytes": float(bundle.size_bytes),
        **system([cost]),
    }
    if bundle.search is not None:
        report = bundle.search
        figures |= {f"search_{metric}": report.score, f"search_{metric}_of_defaults": report.default_score}
        figures |= {"search_gain": report.gain.value, "search_trials": float(report.n_trials)}
        ends = {"search_gain.low": report.gain.low, "search_gain.high": report.gain.high}
        figures |= {name: value for name, value in ends.items() if value is not None}
    return Child(
        path=bundle.estimator,
        params={name: str(value) for name, value in bundle.parameters.items()},
        metrics=figures,
        tags={"tidemill.bundle_digest": bundle.digest, "tidemill.role": "baseline" if bundle.baseline else "candidate"},
        started_at=cost.started_at,
        seconds=cost.wall_s,
    )


def _trials(store: Store, bundle: BundleRef, cost: FitCost, metric: str) -> Iterator[Child]:
    file = None if bundle.search is None else store.path(bundle.search.uri) / TRIALS
    if bundle.search is None or file is None or not file.is_file():
        return
    content = json.loads(file.read_bytes())
    began = cost.started_at
    for trial in (Trial.from_dict(values) for values in content["trials"]):
        outcome = "given up" if trial.pruned else "best" if trial.number == bundle.search.best else "whole"
        yield Child(
            path=f"{bundle.estimator}/{trial.number:03}",
            params={name: str(value) for name, value in trial.parameters.items()},
            metrics={f"mean_{metric}": sum(trial.scores) / len(trial.scores), "n_folds": float(len(trial.scores))},
            steps={f"fold_{metric}": trial.scores},
            tags={"tidemill.role": "defaults" if trial.number == 0 else "trial", "tidemill.outcome": outcome},
            started_at=began,
            seconds=trial.seconds,
        )
        began += timedelta(seconds=trial.seconds)
