import pytest

from tidemill.report.theme import COLOURS

SURFACES = ("#ffffff", "#182027")  # of tables and pictures, light and dark
TEXT = ("ink", "muted", "good", "warn", "fail")


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", TEXT)
def test_text_can_be_read_on_its_surface(name, mode):
    assert contrast(COLOURS[name][mode], SURFACES[mode]) >= 4.5


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["reference", "accent", "second"])
def test_marks_can_be_seen_on_their_surface(name, mode):
    assert contrast(COLOURS[name][mode], SURFACES[mode]) >= 3


def test_no_two_colours_are_drawn_alike():
    assert len({light for light, _ in COLOURS.values()}) == len(COLOURS)
