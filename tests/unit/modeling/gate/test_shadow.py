import numpy as np
import pytest

from tidemill.modeling.gate.shadow import decide_shadow
from tidemill.records import Role, Verdict

from ....bench.shadow import MARGIN, NOISE, first_decision, shadow, wrongly_replaced

CHALLENGER, PREDECESSOR = shadow(Role.CHALLENGER), shadow(Role.PREDECESSOR)
WAVE = 0.1 * np.array([1.0, -1.0] * 7)  # days that differ a little


@pytest.mark.parametrize(
    ("compared", "gain", "verdict"),
    [
        (CHALLENGER, 0.0, Verdict.ACCEPT),  # as good
        (CHALLENGER, -0.8, Verdict.ACCEPT),  # worse, but shown to be within the margin
        (CHALLENGER, -1.5, Verdict.REJECT),
        (PREDECESSOR, 1.5, Verdict.ACCEPT),
        (PREDECESSOR, 0.5, Verdict.REJECT),  # better, but within the margin
        (PREDECESSOR, -1.0, Verdict.REJECT),
    ],
)
def test_what_is_shown_decides_before_the_time_is_over(compared, gain, verdict):
    assert decide_shadow(compared, list(gain + WAVE), over=False).verdict is verdict


@pytest.mark.parametrize("compared", [CHALLENGER, PREDECESSOR], ids=["challenger", "predecessor"])
def test_doubt_waits_and_keeps_the_champion_once_the_time_is_over(compared):
    border = [compared.margin * (-1 if compared is CHALLENGER else 1) + 20 * step for step in WAVE]
    assert decide_shadow(compared, border, over=False).verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert decide_shadow(compared, border, over=True).verdict is Verdict.REJECT


@pytest.mark.parametrize("n", [0, 6])
def test_few_days_decide_nothing_however_good_they_are(n):
    said = decide_shadow(CHALLENGER, [5.0] * n, over=False)
    assert (said.verdict, f"known for {n} days, of at least 7" in said.reasons[0]) == (
        Verdict.NOT_ENOUGH_EVIDENCE,
        True,
    )


def test_reason_has_releases_figures_and_days():
    (reason,) = decide_shadow(CHALLENGER, list(WAVE), over=False, unit="week").reasons
    assert "release 2 minus release 1, the champion, is +0.0000 (" in reason
    assert "over 14 weeks: not worse by 1." in reason


@pytest.mark.slow
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("noise", NOISE)
def test_looking_every_day_replaces_the_champion_wrongly_no_more_often_than_stated(noise, role):
    assert wrongly_replaced(noise, role, 400, np.random.default_rng(7)) <= 0.025 + 3 * 0.0078


@pytest.mark.slow
def test_a_challenger_as_good_as_the_champion_is_promoted_within_the_days_that_the_page_names():
    rng = np.random.default_rng(8)
    days = [first_decision(Role.CHALLENGER, -MARGIN + 1.5 + rng.normal(size=60))[1] for _ in range(200)]
    assert np.median(days) <= 13
