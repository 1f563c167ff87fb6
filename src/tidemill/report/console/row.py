"""The page of one entity: its prediction, the reasons, the whole trace, and what else was predicted for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.records import RowLookup
from tidemill.report.console.links import trail_of
from tidemill.report.html import Answer, Tile, figure, page

__all__ = ["row_page"]

_ANSWER = {"score", "prediction", "predicted_label", "probabilities", "low", "high", "reasons"}


def row_page(model: str, entity_key: str, partition: str, found: RowLookup | None, n_searched: int) -> str:
    """Return the page with the form, and with the row if one was found.

    Parameters
    ----------
    entity_key, partition : str
        What the form holds; empty for the empty form, and for every partition.
    n_searched : int
        Newest partitions that are searched if the form names none.
    """
    answer = found.trace if found else {}
    return page(
        "row.html",
        kind="Row",
        model=model,
        partition=found.partition if found else "",
        trail=trail_of(model, "rows", up="../"),
        has_form=True,
        answer=_answer(entity_key, partition, found, n_searched),
        tiles=_tiles(answer),
        entity_key=entity_key,
        asked=partition,
        n_searched=n_searched,
        found=found,
        reasons=_reasons(answer.get("reasons")),
        probabilities=sorted((answer.get("probabilities") or {}).items(), key=lambda item: -item[1]),
        facts=[
            (name.replace("_", " "), _shown(value) if isinstance(value, bool) else value)
            for name, value in answer.items()
            if name not in _ANSWER
        ],
    )


def _answer(entity_key: str, partition: str, found: RowLookup | None, n_searched: int) -> Answer:
    question = "What was predicted, and why?"
    if not entity_key:
        return Answer(question=question, answer="Enter the key of a row.", tone="none")
    if found is None:
        where = f"Partition {partition} has" if partition else f"The newest {n_searched} published partitions have"
        return Answer(question=question, answer=f"{where} no row {entity_key}.", tone="warn")
    said = next(_shown(found.trace[name]) for name in ("predicted_label", "prediction") if name in found.trace)
    return Answer(question=question, answer=f"{entity_key} in {found.partition}: {said}.", tone="none")


def _shown(answer: Any) -> str:
    """Return an answer as the history of the row and its tiles write it."""
    if isinstance(answer, bool):
        return str(answer).lower()
    return figure(answer) if isinstance(answer, float) else str(answer)


def _tiles(answer: Mapping[str, Any]) -> list[Tile]:
    tiles = [
        Tile(label=name.capitalize(), value=figure(answer[name]))
        for name in ("score", "prediction", "low", "high")
        if answer.get(name) is not None
    ]
    return tiles + [
        Tile(label=label, value=str(answer[name]) if name == "release_id" else _shown(answer[name]))
        for label, name in (("Predicted label", "predicted_label"), ("Release", "release_id"))
        if name in answer
    ]


def _reasons(reasons: Any) -> Sequence[Mapping[str, Any]]:
    """Return the stored contributions, the largest first; none if the model stores none."""
    return [item for item in reasons if isinstance(item, Mapping)] if isinstance(reasons, list) else []
