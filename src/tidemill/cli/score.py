"""Command on the ML Test Score of a model."""

from typing import TYPE_CHECKING

from tidemill.cli.console import AsJson, Model, app, out, print_json, show
from tidemill.workspace import SOURCE, Workspace

if TYPE_CHECKING:
    from tidemill.records import Evidence, LineScore

__all__: list[str] = []


@app.command(rich_help_panel="Releases and records")
def score(model: Model, as_json: AsJson = False) -> None:
    """Show a model's ML Test Score: 28 lines, the evidence of each, and the cheapest next half point."""
    from tidemill.score import read_scorecard
    from tidemill.warehouse.connections import transaction

    workspace = Workspace.from_environment()
    with transaction(workspace.connection(SOURCE)) as cursor:
        card = read_scorecard(cursor, workspace.spec(model))
    if as_json:
        print_json({"score": card.score, "points": card.points, **card.to_dict()})
        return
    show([_row(line) for line in card.lines], as_json=False)
    if out.is_terminal:
        sections = ", ".join(f"{name} {value:g}" for name, value in card.points.items())
        out.print(f"{model} has an ML Test Score of {card.score:g} of 7: {sections}.", highlight=False, soft_wrap=True)


def _row(line: "LineScore") -> dict[str, object]:
    return {
        "section": line.section.value,
        "line": line.line.value,
        "points": f"{line.points:g}",
        "why": line.reason,
        "evidence": "; ".join(map(_named, line.evidence)) or "-",
        "stale_from": line.stale_from,
        "next_half_point": line.next_half or "-",
    }


def _named(row: "Evidence") -> str:
    return f"{row.kind} {row.row_id} of {row.at:%Y-%m-%d}"
