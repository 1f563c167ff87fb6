"""A release's model card, as the console shows it."""

from tidemill.report.console.links import trail_of
from tidemill.report.html import Answer, Link, page

__all__ = ["release_card_page"]


def release_card_page(model: str, release_id: int, card: str) -> str:
    """Return the page with a release's model card."""
    above, own = trail_of(model, up="../../../")
    return page(
        "release_card.html",
        kind="Model card",
        model=model,
        partition="",
        trail=(above, own, Link(f"release {release_id}", "../"), Link("card")),
        answer=Answer(
            question="What is this model for?", answer=f"The model card of release {release_id}.", tone="none"
        ),
        card=card,
    )
