"""A release's model card, as the console shows it."""

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

from tidemill.report.console.links import trail_of
from tidemill.report.html import Answer, Link, page

__all__ = ["release_card_page"]

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def release_card_page(model: str, release_id: int, card: str) -> str:
    """Return the page with a release's model card.

    Parameters
    ----------
    card : str
        Markdown of :func:`tidemill.report.card.model_card`.
    """
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
        card=Markup(_render(card)),
    )


def _render(card: str) -> str:
    """Return a card as HTML whose headings are below that of the page, and whose tables are named by theirs."""
    tokens = _MARKDOWN.parse(card)
    caption = ""
    for position, token in enumerate(tokens):
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{int(token.tag[1]) + 1}"
        if token.type == "heading_open":
            caption = "".join(child.content for child in tokens[position + 1].children or ())
        elif token.type == "table_open":
            token.attrSet("aria-label", caption)
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        if token.attrs.pop("style", None) == "text-align:right":  # the page allows no style but its own
            token.attrSet("class", "number")
    return str(_MARKDOWN.renderer.render(_without_empty_heads(tokens), _MARKDOWN.options, {}))


def _without_empty_heads(tokens: list[Token]) -> list[Token]:
    """Leave out the heads of tables without any text, which Markdown demands."""
    kept: list[Token] = []
    start = 0
    for token in tokens:
        if token.type == "thead_open":
            start = len(kept)
        kept.append(token)
        if token.type == "thead_close" and not any(item.content for item in kept[start:]):
            del kept[start:]
    return kept


def _open_table(renderer: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: object) -> str:
    return f'<div class="scroll" tabindex="0">{renderer.renderToken(tokens, index, options, {})}'


def _close_table(renderer: object, tokens: list[Token], index: int, options: object, env: object) -> str:
    return "</table></div>\n"


_MARKDOWN.add_render_rule("table_open", _open_table)
_MARKDOWN.add_render_rule("table_close", _close_table)
