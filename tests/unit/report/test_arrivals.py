import math

from tidemill.report.arrivals import arrival_chart, arrival_sentence
from tidemill.report.charts import to_svg
from tidemill.report.values import LabelRow

LATE = LabelRow(partition="2013-07-04", hours=67.0, coverage=0.3, usual=0.97, state="late")
YOUNG = LabelRow(partition="2013-07-06", hours=19.0, coverage=0.95, usual=0.96, state="arriving")


def test_the_course_and_the_partitions_are_drawn() -> None:
    svg = to_svg(arrival_chart([0.0, 48.0, 72.0], [0.5, 0.97, 0.97], [LATE, YOUNG], 48.0))
    assert "Labels as they arrive" in svg
    assert svg.count("<path") > 3


def test_partitions_are_drawn_before_the_course_is_known() -> None:
    assert "hours since" in to_svg(arrival_chart([], [], [YOUNG], 48.0))


def test_without_a_partition_the_picture_says_so() -> None:
    assert "No partition has ended yet" in to_svg(arrival_chart([], [], [], 48.0))


def test_an_unknown_course_is_reported_as_unknown() -> None:
    said = arrival_sentence(half=math.nan, nearly_all=math.nan, final=math.nan, due=48.0, by_then=math.nan, n=2)
    assert (
        said == "How labels arrive is not known yet: 2 of the 3 partitions that it takes have had time to get theirs."
    )
