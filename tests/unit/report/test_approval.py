from dataclasses import replace

from tidemill.records import MetricValue
from tidemill.report.approval import approval_request


def test_the_request_holds_the_gate_s_reasons_and_the_figures(evaluation, decision):
    text = approval_request(evaluation, decision)
    assert r"roc\_auc 0.742 is above the minimum 0.62." in text
    assert "0.735 to 0.749" in text


def test_the_weakest_slices_come_first(evaluation, decision):
    slices = tuple(
        MetricValue(name="roc_auc", value=value, low=value - 0.1, high=value + 0.1, n=500, slice=f"origin={value}")
        for value in (0.02, -0.03)
    )
    text = approval_request(replace(evaluation, champion_slices=slices), decision)
    assert text.index("origin=-0.03") < text.index("origin=0.02")


def test_what_the_data_say_is_no_markup(evaluation, decision):
    hostile = replace(decision, reasons=("<script>alert(1)</script> [a](b)",))
    text = approval_request(evaluation, hostile)
    assert "<script" not in text
    assert "[a](b)" not in text
