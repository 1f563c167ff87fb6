"""The ML Test Score of a model: each line with its points, its evidence and the next half point."""

from tidemill.records import Scorecard, ScoreSection
from tidemill.report.console.links import trail_of
from tidemill.report.html import Answer, page

__all__ = ["score_page"]

_TONES = {0: "fail", 0.5: "warn", 1: "good"}


def score_page(card: Scorecard) -> str:
    """Return the page of a model's ML Test Score."""
    return page(
        "score.html",
        kind="ML Test Score",
        model=card.model,
        partition="",
        trail=trail_of(card.model, "ML Test Score", up="../"),
        answer=Answer(
            question="How well is my model tested?",
            answer=f"ML Test Score: {card.score:g} of 7.",
            tone="none",
            reasons=(f"Points by section: {', '.join(f'{name} {value:g}' for name, value in card.points.items())}.",),
        ),
        card=card,
        sections=[(section.value, card.of(section)) for section in ScoreSection],
        tones=_TONES,
    )
