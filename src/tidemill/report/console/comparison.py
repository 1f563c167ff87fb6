"""Two releases side by side: settings, features, and metrics with intervals, as a whole and by slice."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.records import EvaluationReport, MetricValue, ReleaseEvidence
from tidemill.report.console.links import trail_of
from tidemill.report.html import Answer, Link, Tile, figure, page, plural

__all__ = ["comparison_page"]

_UP = "../../../../"  # from <model>/releases/<release>/against/<other>/ to the model's page


@dataclass(frozen=True, slots=True)
class _Side:
    """A figure of both releases; None where one has none."""

    name: str
    slice: str
    left: MetricValue | None
    right: MetricValue | None

    @property
    def difference(self) -> float:
        """Return left minus right; NaN where one is missing."""
        return self.left.value - self.right.value if self.left and self.right else math.nan


def comparison_page(model: str, ids: tuple[int, int], left: ReleaseEvidence, right: ReleaseEvidence) -> str:
    """Return the page that compares two releases of a model."""
    settings = list(_different(_flat(left.settings), _flat(right.settings)))
    figures = list(_figures(left.evaluation, right.evaluation))
    return page(
        "comparison.html",
        kind="Comparison",
        model=model,
        partition="",
        trail=trail_of(model, f"release {ids[0]} against {ids[1]}", up=_UP),
        links=[Link(f"release {number}", f"../../../{number}/") for number in ids],
        answer=_answer(ids, settings, figures),
        tiles=[Tile(label="Settings that differ", value=str(len(settings)))],
        ids=ids,
        sides=(left, right),
        settings=settings,
        features=_features(left.evaluation, right.evaluation),
        whole=[item for item in figures if not item.slice],
        slices=[item for item in figures if item.slice],
    )


def _answer(ids: tuple[int, int], settings: list[tuple[str, str, str]], figures: list[_Side]) -> Answer:
    first = next((item for item in figures if item.left and item.right), None)
    said = "No metric is known of both."
    if first is not None and first.left and first.right:
        said = f"{first.name}: {figure(first.left.value)} and {figure(first.right.value)}, each on its own test set."
    n = len(settings)
    reason = f"{n or 'No'} {plural('setting', n)} of the spec differ{'s' if n == 1 else ''}."
    question = f"How does release {ids[0]} differ from release {ids[1]}?"
    return Answer(question=question, answer=said, tone="none", reasons=(reason,))


def _flat(settings: Any, within: str = "") -> dict[str, str]:
    """Return the settings as text, by their path in the spec."""
    if not isinstance(settings, Mapping):
        return {within: str(settings)}
    found: dict[str, str] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{within}.{name}" if within else str(name))
    return found


def _different(left: Mapping[str, str], right: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in sorted({*left, *right}):
        if left.get(name) != right.get(name):
            yield name, left.get(name, "not set"), right.get(name, "not set")


def _figures(left: EvaluationReport, right: EvaluationReport) -> Iterator[_Side]:
    known = [{(item.name, item.slice or ""): item for item in report.metrics} for report in (left, right)]
    for name, part in dict.fromkeys((*known[0], *known[1])):
        yield _Side(name, part, known[0].get((name, part)), known[1].get((name, part)))


def _features(left: EvaluationReport, right: EvaluationReport) -> list[_Side]:
    """Return the importance of every feature, the most important of either first."""
    known = [{item.feature or item.name: item for item in report.importance} for report in (left, right)]
    sides = [_Side(name, "", known[0].get(name), known[1].get(name)) for name in dict.fromkeys((*known[0], *known[1]))]
    return sorted(sides, key=lambda side: -max(item.value for item in (side.left, side.right) if item))
