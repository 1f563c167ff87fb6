"""Summary sentences of searches for pages and cards: of hyperparameters, and of weak slices."""

from tidemill.records import MetricValue, SearchReport, SliceSearch
from tidemill.report.html import count, figure, interval, seconds

__all__ = ["gain_on_test", "search_sentences", "weak_slices_lead"]


def search_sentences(report: SearchReport | None, on_test: MetricValue | None = None) -> tuple[str, ...]:
    """Return sentences on the trials, the gain, and any warnings.

    Parameters
    ----------
    report : SearchReport or None
        Result of the search; None returns no sentence.
    on_test : MetricValue, optional
        Winner minus defaults on the test set.

    Examples
    --------
    >>> search_sentences(None)
    ()
    """
    if report is None:
        return ()
    given_up = f", {report.n_pruned} of them given up early," if report.n_pruned else ""
    said = [
        f"{report.n_trials} settings were tried in addition to the defaults{given_up} on {report.n_folds} folds"
        f" of the train and validation set, in {seconds(report.seconds)}.",
        _outcome(report),
    ]
    if report.every > 1:
        said.append(f"The search looked at one of {report.every} rows.")
    if on_test is not None:
        said.append(gain_on_test(on_test))
    if report.cut_short:
        said.append("Time ran out before all requested trials: another run may find another winner.")
    return (*said, *report.at_bounds)


def gain_on_test(gain: MetricValue) -> str:
    """Return a sentence on the winner's gain over the defaults on the test set.

    Examples
    --------
    >>> gain_on_test(MetricValue(name="roc_auc", value=0.01, low=-0.002, high=0.022, n=900))
    'On the test set, which the search did not use, the gain is 0.010 (95 % interval -0.002 to 0.022).'
    """
    ends = interval(gain) or "none"
    return f"On the test set, which the search did not use, the gain is {figure(gain.value)} (95 % interval {ends})."


def weak_slices_lead(search: SliceSearch | None) -> str:
    """Return a sentence on where slices were looked for, and how many were found; empty if none were looked for.

    Examples
    --------
    >>> weak_slices_lead(SliceSearch(n_searched=310, n_tested=3))
    '310 slices of one or two features look worse on the validation set; of the 3 worst, the test set confirms none.'
    """
    if search is None:
        return ""
    return (
        f"{count(search.n_searched)} slices of one or two features look worse on the validation set; of the "
        f"{search.n_tested} worst, the test set confirms {len(search.weak) or 'none'}."
    )


def _outcome(report: SearchReport) -> str:
    if report.best == 0:
        return f"None beat the defaults, {report.gain.name} {figure(report.default_score)}."
    settings = ", ".join(f"{name} {value}" for name, value in report.parameters.items())
    return (
        f"The winner is {settings}: {report.gain.name} {figure(report.score)} instead of {figure(report.default_score)},"
        f" a gain of {figure(report.gain.value)} (95 % interval {interval(report.gain) or 'none'})"
        " on the rows that chose it, which is optimistic."
    )
