"""Behaviour checks: requirements on any model and any data, without labels.

A score may depend only on its own row, broken and unknown values must still produce a score, and declared monotonic
directions must hold. A failing check rejects the candidate, however good its metrics are.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tidemill.arrow import to_frame
from tidemill.modeling.alignment import align
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.scorer import Scorer
from tidemill.records import BehaviourCheck

__all__ = ["check_behaviour"]

Floats = npt.NDArray[np.float64]

_N_ROWS = 500  # rows to check; each is scored a few dozen times
_N_SINGLE = 20  # rows scored one at a time
_N_STEPS = 15  # values to try for a feature with a declared direction
_UNSEEN = "\N{SNOWMAN} never seen"
_SLACK = 1e-9  # tolerated step against the declared direction, for rounding errors


def check_behaviour(
    bundle: Bundle,
    X: pd.DataFrame,
    *,
    stored: pa.Table | None = None,
    monotonic: Mapping[str, str] | None = None,
    random_state: int = 0,
) -> tuple[BehaviourCheck, ...]:
    """Check a model on real rows: reordered, split, broken, and as stored.

    Parameters
    ----------
    X : pandas.DataFrame of shape (n_samples, n_columns)
        Raw features, for example of the test set; up to 500 rows are used.
    stored : pyarrow.Table, default None
        The same kind of rows as stored, before any conversion; up to 500 are used. Derived from ``X`` by default.
    monotonic : mapping of str to str, default None
        Direction of the score when a feature grows: ``increasing`` or ``decreasing``, by feature.
    random_state : int, default 0
        Seed of the sample and the shuffle.

    Returns
    -------
    tuple of BehaviourCheck
        Empty if there is no row to check.
    """
    rng = np.random.default_rng(random_state)
    rows = align(X.iloc[np.sort(rng.permutation(len(X))[:_N_ROWS])], bundle.schema)
    if rows.empty:
        return ()
    tried: list[tuple[str, Callable[[], str | None]]] = [
        ("scores", lambda: _sound(bundle, bundle.score(rows))),
        ("row order", lambda: _row_order(bundle, rows, rng)),
        ("batch size", lambda: _batch_size(bundle, rows)),
        ("rows as stored", lambda: _as_stored(bundle, X.head(_N_ROWS) if stored is None else stored.slice(0, _N_ROWS))),
        ("missing values", lambda: _missing(bundle, rows)),
        ("unseen category", lambda: _unseen(bundle, rows)),
    ]
    for feature, direction in (monotonic or {}).items():
        tried.append((f"monotonic: {feature} {direction}", _monotonic_check(bundle, rows, feature, direction)))
    return tuple(_outcome(name, check) for name, check in tried)


def _outcome(name: str, check: Callable[[], str | None]) -> BehaviourCheck:
    try:
        flaw = check()
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:  # what estimators raise for unusual rows
        flaw = f"it raised {type(error).__name__}: {error}"
    return BehaviourCheck(name=name, passed=flaw is None, observed=flaw or "as it should be")


def _sound(bundle: Bundle, score: Floats) -> str | None:
    """Return the flaw of some scores, or None."""
    wrong = int((~np.isfinite(score)).sum())
    if wrong:
        return f"{wrong} of {score.size} scores are not finite"
    return bundle.task_type.unsound(score)


def _row_order(bundle: Bundle, rows: pd.DataFrame, rng: np.random.Generator) -> str | None:
    order = rng.permutation(len(rows))
    return _differing(bundle.score(rows)[order], bundle.score(rows.iloc[order]), "when the rows are shuffled")


def _batch_size(bundle: Bundle, rows: pd.DataFrame) -> str | None:
    whole = bundle.score(rows)
    halves = np.concatenate([bundle.score(rows.iloc[: len(rows) // 2]), bundle.score(rows.iloc[len(rows) // 2 :])])
    flaw = _differing(whole, halves, "when the rows come in two batches")
    if flaw:
        return flaw
    alone = np.concatenate([bundle.score(rows.iloc[[row]]) for row in range(min(_N_SINGLE, len(rows)))])
    return _differing(whole[: len(alone)], alone, "when a row comes alone")


def _as_stored(bundle: Bundle, rows: pd.DataFrame | pa.Table) -> str | None:
    """Score rows from Arrow, as publishing does: no score may change next to a row of NULLs, or via a frame.

    The other checks start from aligned rows, and so cannot detect what the conversion of a whole batch does to a row.
    """
    names = list(bundle.schema.names)
    table = (
        rows.select(names) if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows[names], preserve_index=False)
    )
    scorer, nulls = Scorer.of(bundle), pa.table({field.name: pa.nulls(1, field.type) for field in table.schema})

    def score(*parts: pa.Table) -> Floats:
        (batch,) = pa.concat_tables(parts).combine_chunks().to_batches()
        return scorer.score(batch)

    whole, singles = score(table), range(min(_N_SINGLE, table.num_rows))
    alone = [score(table.slice(row, 1)) for row in singles]
    beside_null = [score(table.slice(row, 1), nulls)[:1] for row in singles]
    return (
        _differing(whole, score(table, nulls)[:-1], "when a row of NULLs is in the batch")
        or _differing(whole[: len(alone)], np.concatenate(alone), "when a row comes alone from storage")
        or _differing(whole[: len(alone)], np.concatenate(beside_null), "when a row comes with one row of NULLs")
        or _differing(whole, bundle.score(to_frame(table)), "when the batch becomes a frame")
    )


def _missing(bundle: Bundle, rows: pd.DataFrame) -> str | None:
    for feature in bundle.schema.names:
        flaw = _sound(bundle, bundle.score(rows.assign(**{feature: _blank(rows[feature])})))
        if flaw:
            return f"without {feature}, {flaw}"
    nothing = rows.assign(**{feature: _blank(rows[feature]) for feature in bundle.schema.names})
    flaw = _sound(bundle, bundle.score(nothing))
    return f"without any feature, {flaw}" if flaw else None


def _blank(column: pd.Series) -> pd.Series:
    return pd.Series(np.nan, index=column.index, dtype=column.dtype)


def _unseen(bundle: Bundle, rows: pd.DataFrame) -> str | None:
    for feature in bundle.schema.categorical:
        flaw = _sound(bundle, bundle.score(rows.assign(**{feature: _UNSEEN})))
        if flaw:
            return f"with an unseen {feature}, {flaw}"
    return None


def _monotonic_check(bundle: Bundle, rows: pd.DataFrame, feature: str, direction: str) -> Callable[[], str | None]:
    return lambda: _monotonic(bundle, rows, feature, 1.0 if direction == "increasing" else -1.0)


def _monotonic(bundle: Bundle, rows: pd.DataFrame, feature: str, sign: float) -> str | None:
    """Vary one feature over its own values, with all others fixed, and look for a step in the wrong direction."""
    if feature not in bundle.schema.numeric:
        return f"the model reads no number {feature}"
    known = rows[feature].dropna()
    if known.empty:
        return None
    grid = np.unique(known.quantile(np.linspace(0, 1, _N_STEPS)).to_numpy())
    scores = np.array([bundle.score(rows.assign(**{feature: value})) for value in grid])
    steps = sign * np.diff(scores, axis=0)
    wrong = int((steps < -_SLACK).any(axis=0).sum()) if len(steps) else 0
    if not wrong:
        return None
    return f"the score of {wrong} of {len(rows)} rows goes the other way, by up to {-steps.min():.4f}"


def _differing(expected: Floats, found: Floats, when: str) -> str | None:
    n_different = int((expected != found).reshape(len(expected), -1).any(axis=1).sum())  # NaN differs from itself
    return f"{n_different} of {len(expected)} rows score differently {when}" if n_different else None
