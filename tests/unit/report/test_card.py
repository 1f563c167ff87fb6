import html
import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tidemill.records import BehaviourCheck, MetricValue, Rehearsal, SliceSearch, WeakSlice
from tidemill.report.card import card_page, model_card, unseen_months
from tidemill.report.console import release_card_page

HOSTILE = "<script>alert(1)</script> | `x` \n# heading [a](b)"


def hostile(facts):
    return replace(
        facts,
        model=HOSTILE,
        description=HOSTILE,
        owner=HOSTILE,
        features=(HOSTILE,),
        limits=(HOSTILE,),
        versions={HOSTILE: HOSTILE},
    )


def test_html_card_escapes_untrusted_text(facts):
    assert "<script" not in card_page(hostile(facts))


def test_markdown_card_escapes_html(facts):
    assert "<script" not in model_card(hostile(facts))


def test_markdown_card_escapes_links(facts):
    assert "[a](b)" not in model_card(hostile(facts))


def test_untrusted_text_opens_no_heading(facts):
    headings = re.findall(r"^#+ (.*)$", model_card(hostile(facts)), re.MULTILINE)
    assert headings[1:] == re.findall(r"^#+ (.*)$", model_card(facts), re.MULTILINE)[1:]


def test_untrusted_text_breaks_no_table_row(facts):
    rows = [line for line in model_card(hostile(facts)).splitlines() if line.startswith("| Owner")]
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 3


def test_both_cards_name_the_whole_snapshot_digest(facts):
    assert facts.snapshot.digest in model_card(facts)
    assert facts.snapshot.digest in card_page(facts)


def test_the_console_shows_the_card_without_markdown(facts):
    page = release_card_page("flight_delays", 7, model_card(facts)).partition("</section>")[2]
    assert [line for line in page.splitlines() if "\\" in line or "|" in line] == []
    assert re.findall(r"<h3>(.*?)</h3>", page) == re.findall(r"^## (.*)$", model_card(facts), re.MULTILINE)
    assert f"<td>Snapshot</td>\n<td><code>{facts.snapshot.digest}</code></td>" in page
    figures = [f'<td class="number">{figure}</td>' for figure in ("0.742", "0.735 to 0.749", "13,345")]
    assert "\n".join(figures) in page
    assert ("style=" in page, "<th></th>" in page, "<thead>\n<tr>\n</tr>" in page) == (False, False, False)
    assert page.count("<table") == page.count('<table aria-label="') > 0


def test_a_slice_of_two_rows_is_marked_in_both_cards(facts):
    few = replace(facts.evaluation.metrics[0], slice="carrier=OO", value=0.0, n=2)
    card = replace(facts, evaluation=replace(facts.evaluation, metrics=(*facts.evaluation.metrics, few)))
    assert "| 2 (few) |" in model_card(card)
    assert '<span class="mark none">few</span> 2</td>' in card_page(card)


def test_the_console_shows_untrusted_text_of_a_card_as_it_is(facts):
    page = release_card_page("flight_delays", 7, model_card(hostile(facts)))
    assert "<script" not in page
    owner = page.partition("<td>Owner</td>\n<td>")[2].partition("</td>")[0]
    assert html.unescape(owner) == " ".join(HOSTILE.split())


def test_card_says_which_seasons_were_not_seen(facts):
    assert "it was fitted on rows from April and May only." in model_card(facts)


def test_a_year_of_training_leaves_no_season_unseen():
    assert unseen_months(datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC)) == ()


def test_a_window_over_new_year_has_seen_both_winters():
    unseen = unseen_months(datetime(2013, 11, 15, tzinfo=UTC), datetime(2014, 2, 1, tzinfo=UTC))
    assert "January" not in unseen
    assert "December" not in unseen
    assert "February" in unseen


def test_card_says_that_the_champion_knew_test_rows(facts):
    favoured = replace(facts, evaluation=replace(facts.evaluation, champion_saw_test=True))
    assert "favours the champion" in model_card(favoured)


def test_a_metric_that_is_nan_is_listed_as_a_limit(facts):
    assert r"Not defined on the test set: roc\_auc for carrier=OO." in model_card(facts)


def test_card_tells_how_to_make_the_bundle_again(facts):
    assert "\n    tidemill train flight_delays --partition 2013-07-01\n" in model_card(facts)


def test_a_command_can_be_copied_as_it_stands(facts):
    commands = ("tidemill sql 'SELECT 1' && true\n# heading",)
    assert "\n    tidemill sql 'SELECT 1' && true # heading\n" in model_card(replace(facts, reproduce=commands))


def test_an_unregistered_card_says_so(facts):
    assert "flight_delays, not registered: xgboost, accepted." in card_page(replace(facts, release_id=None))


def test_card_works_with_empty_lists(facts):
    evaluation = replace(facts.evaluation, metrics=(), baselines=(), champion_difference=None)
    bare = replace(facts, evaluation=evaluation, features=(), parameters={}, versions={}, reproduce=(), limits=())
    assert "No metric was computed." in model_card(bare)
    assert "No metric was computed." in card_page(bare)


def test_every_table_of_the_markdown_card_is_whole(facts):
    lines = model_card(facts).splitlines()
    for above, line in itertools.pairwise(lines):
        if re.fullmatch(r"\|(-+:?\|)+|\|(-*:?-+:?\|)+", line):
            assert above.count("|") == line.count("|")


def tried(facts):
    evaluation = replace(
        facts.evaluation,
        champion_slices=(MetricValue(name="roc_auc", value=-0.01, low=-0.03, high=0.01, n=900, slice=HOSTILE),),
        churn=MetricValue(name="share_of_decisions", value=0.0731, low=0.06, high=0.09, n=13_345),
        slice_search=SliceSearch(
            n_searched=312,
            n_tested=3,
            weak=(
                WeakSlice(
                    value=MetricValue(name="roc_auc", value=0.523, n=412, slice=f"dep_hour<9 and {HOSTILE}"),
                    expected=0.698,
                    difference=MetricValue(name="roc_auc", value=-0.181, low=-0.25, high=-0.112, n=412),
                ),
            ),
        ),
        behaviour=(BehaviourCheck(name="row order", passed=True, observed="as it should be"),),
        rehearsal=Rehearsal(n_rows=13_345, n_different=0, seconds_per_million=7.5, peak_rss_bytes=400 * 2**20),
    )
    return replace(facts, evaluation=evaluation)


@pytest.mark.parametrize("write", [model_card, card_page])
def test_both_cards_tell_what_was_tried_and_how_far_it_is_from_the_champion(facts, write):
    text = write(tried(facts)).replace("\\", "").replace("<wbr>", "")
    assert "row order: as it should be" in text
    assert "13,345 rows scored, 0 of them differently" in text
    assert "share_of_decisions" in text
    assert "release 3" in text


@pytest.mark.parametrize("write", [model_card, card_page])
def test_both_cards_show_where_the_model_is_weak(facts, write):
    text = write(tried(facts)).replace("\\", "").replace("<wbr>", "")
    assert "312 slices of one or two features look worse" in text
    assert "of the 3 worst, the test set confirms 1." in text
    for figure in ("dep_hour&lt;9 and", "0.523", "0.698", "-0.181", "-0.250 to -0.112", "412"):
        assert figure in text


@pytest.mark.parametrize("write", [model_card, card_page])
def test_a_slice_s_name_is_escaped(facts, write):
    assert "<script" not in write(tried(facts))


@pytest.mark.parametrize("write", [model_card, card_page])
def test_a_champion_that_could_not_be_compared_is_reported(facts, write):
    evaluation = replace(facts.evaluation, champion_difference=None, champion_problem="It reads another query.")
    assert "It reads another query." in write(replace(facts, evaluation=evaluation)).replace("\\", "")


@pytest.mark.parametrize("write", [model_card, card_page])
def test_both_cards_have_the_score_and_say_whether_rows_could_be_explained(facts, write):
    check = BehaviourCheck(name="explanation", passed=True, observed="5 rows add up")
    points = {"data": 4.5, "model": 3.0, "infrastructure": 5.0, "monitoring": 0.0}
    text = write(replace(facts, test_score=points, evaluation=replace(tried(facts).evaluation, explained=check)))
    assert "0 of 7 when the release was registered: data 4.5, model 3, infrastructure 5, monitoring 0" in text
    assert "explanation: 5 rows add up" in text
    assert "not computed" in write(facts)
