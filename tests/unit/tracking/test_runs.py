import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.tracking.runs import metric_name


@given(st.text(max_size=300))
@example("roc_auc/city=../..")
@example("f1/way=./x")
@example("f1/way=/x/")
@example("f1/way=")
def test_a_slice_of_whatever_the_data_hold_gives_a_name_that_mlflow_takes(value: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(metric_name(f"roc_auc/carrier={value}"))


@pytest.mark.parametrize("name", ["roc_auc", "roc_auc.low", "system/cpu_seconds", "roc_auc over release 7"])
def test_our_own_names_stay_as_they_are(name: str) -> None:
    assert metric_name(name) == name
