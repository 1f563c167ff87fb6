"""The page with a chart that zooms: its script comes from this server, and the page's policy allows no other."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files

from tidemill.report.console.links import trail_of
from tidemill.report.html import Answer, page

__all__ = ["explore_page", "scripts"]


@cache
def scripts() -> dict[str, str]:
    """Return the scripts by name: Vega-Lite as the package ``vl-convert-python`` ships it, and the page's own."""
    import vl_convert  # with its own interpreter of scripts, 130 MB

    bundle: Callable[..., str] = vl_convert.javascript_bundle  # its stub requires the argument that it does not need
    own = files("tidemill.report").joinpath("templates", "explore.js").read_text(encoding="utf-8")
    return {"vega.js": bundle(), "explore.js": own}


def explore_page(model: str, metric: str) -> str:
    """Return the page with a chart of any of a model's figures.

    Parameters
    ----------
    metric : str
        Figure that is shown first.
    """
    return page(
        "explore.html",
        kind="Figures",
        model=model,
        partition="",
        trail=trail_of(model, "figures", up="../"),
        answer=Answer(
            question="How has it changed?",
            answer="Any figure, slice and time.",
            tone="none",
            reasons=(
                "Point at a partition for its figures. Draw over the strip to choose a time; turn the wheel to zoom.",
            ),
        ),
        has_script=True,
        metric_name=metric,
    )
