"""Reproductions: the newest attempt to build each release again counts."""

from collections.abc import Sequence

from tidemill.doctor.findings import Finding, listed
from tidemill.warehouse.connections import Cursor
from tidemill.warehouse.statements import execute

__all__ = ["check_reproductions"]

_OF_THE_SOURCE = {"extract", "extract_rows"}
"""Steps that read the source, which may have been corrected since; the model is rebuilt from its snapshot all the same."""


def check_reproductions(cursor: Cursor, model: str) -> Finding:
    """Return which releases could not be built again, by the newest attempt at each."""
    execute(cursor, "newest_reproductions", model=model)
    attempts = cursor.fetchall()
    worse = [_told(number, _different(steps)) for number, steps in attempts if _different(steps) - _OF_THE_SOURCE]
    source = [_told(number, _different(steps)) for number, steps in attempts if _different(steps)]
    remedy = f"'tidemill reproduce {model} --release …' shows what differs and what has changed since."
    if worse:
        return Finding.fail("reproduction", model, f"Not the same when built again: {listed(worse)}.", remedy)
    if source:
        return Finding.warn("reproduction", model, f"The source returns other rows by now: {listed(source)}.", remedy)
    if not attempts:
        return Finding.ok("reproduction", model, "No release has been built again yet.")
    return Finding.ok("reproduction", model, f"{len(attempts)} release(s) are the same when built again.")


def _different(steps: Sequence[dict[str, str]]) -> set[str]:
    return {step["step"] for step in steps if step["verdict"] == "different"}


def _told(number: int, steps: set[str]) -> str:
    return f"release {number} in {', '.join(sorted(steps)).replace('_', ' ')}"
