import pytest

from tidemill.errors import SettingsError
from tidemill_airflow.params import RunParams, trigger_form

FORM = ("partition", "cutoff", "release", "simulate", "dry_run", "reason")


def test_an_untouched_form_means_nothing_special() -> None:
    untouched = {name: param.resolve() for name, param in trigger_form(*FORM).items()}
    assert RunParams.check(untouched, FORM) == RunParams()


def test_every_parameter_has_a_field_in_the_form() -> None:
    assert set(trigger_form(*RunParams.model_fields)) == set(RunParams.model_fields)


def test_a_form_has_the_fields_asked_for_in_their_order() -> None:
    assert list(trigger_form("release", "partition")) == ["release", "partition"]


def test_values_are_taken() -> None:
    assert RunParams.check({"release": 3, "dry_run": True}, FORM) == RunParams(release=3, dry_run=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("partition", 20130704),
        ("cutoff", "2013-07-04T05:00:00"),
        ("cutoff", "yesterday"),
        ("release", 0),
        ("release", -1),
        ("release", 1.5),
        ("release", "newest"),
        ("simulate", "perhaps"),
        ("dry_run", None),
        ("dry_run", 2),
        ("reason", None),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=rf"{name}: .*, got {value!r}"):
        RunParams.check({name: value}, FORM)


def test_a_slip_is_refused_with_the_name_that_was_meant() -> None:
    with pytest.raises(SettingsError, match=r"unknown parameter 'dryrun'; did you mean 'dry_run'\?"):
        RunParams.check({"dryrun": True}, FORM)


def test_a_parameter_of_another_dag_is_refused() -> None:
    with pytest.raises(SettingsError, match="unknown parameter 'release'; valid are partition, dry_run"):
        RunParams.check({"release": 1}, ("partition", "dry_run"))


def test_a_parameter_that_somebody_added_to_a_dag_of_their_own_is_left_to_them() -> None:
    assert RunParams.check({"team": "north"}, (*FORM, "team")) == RunParams()


def test_everything_wrong_is_reported_at_once() -> None:
    with pytest.raises(SettingsError, match=r"(?s)(?=.*colour)(?=.*release)(?=.*dry_run)"):
        RunParams.check({"colour": "red", "release": 0, "dry_run": 7}, FORM)


def test_a_field_of_the_form_has_the_limits_of_its_parameter() -> None:
    form = trigger_form("trials", "partition", "policy", "cutoff")
    assert form["trials"].schema == {
        "title": "Trials",
        "type": ["null", "integer"],
        "minimum": 0,
        "maximum": 1000,
    }
    assert (form["partition"].schema["maxLength"], form["cutoff"].schema["format"]) == (32, "date-time")
    assert (form["policy"].value, form["policy"].schema["enum"]) == ("live_then", ["live_then", "current"])


@pytest.mark.parametrize(("name", "value"), [("trials", 1001), ("partition", "x" * 33), ("policy", "newest")])
def test_a_value_that_the_form_refuses_is_refused_in_the_task_too(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name):
        RunParams.check({name: value}, (name,))
