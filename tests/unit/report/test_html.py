import re
from importlib.resources import files

import pytest

from tidemill.records.figures import percent
from tidemill.report.html import figure, picture

SVG = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<b>late</b>",
        f"<svg {SVG}><script>alert(1)</script></svg>",
        f"<svg {SVG}><g onload='alert(1)'/></svg>",
        f"<svg {SVG}><a xlink:href='javascript:alert(1)'><text>late</text></a></svg>",
        f"<svg {SVG}><path fill='url(https://example.com/a)'/></svg>",
        f"<svg {SVG}><style>*{{}}</style></svg>",
        f"<svg {SVG}><foreignObject/></svg>",
        f"<!DOCTYPE svg [<!ENTITY a 'b'>]><svg {SVG}>&a;</svg>",
        f"<svg {SVG}><text>late</svg>",
        "<svg><text>no namespace</text></svg>",
    ],
)
def test_text_that_is_not_a_plain_picture_is_refused(text):
    with pytest.raises(ValueError, match="this text is not one"):
        picture(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_figure_without_a_value_is_not_defined(value):
    assert figure(value) == "not defined"


def test_a_small_share_is_not_zero():
    assert percent(1e-9) != percent(0.0)


@pytest.mark.parametrize(
    "template", sorted(path.name for path in files("tidemill.report").joinpath("templates").iterdir())
)
def test_tables_of_every_page_have_captions_and_scopes_and_scroll_by_keyboard(template):
    text = files("tidemill.report").joinpath("templates", template).read_text(encoding="utf-8")
    assert len(re.findall("<table", text)) == len(re.findall(r"<table[^>]*>\s*<caption>[^<]", text))
    assert re.findall(r"<th(?! scope=)[ >]", text) == []
    assert re.findall(r'<div class="scroll[^"]*"(?! tabindex="0")', text) == []
