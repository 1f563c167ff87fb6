import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tidemill.errors import PartitionError, SpecError
from tidemill.spec import ModelSpec
from tidemill.spec_file import load_specs, read_spec

SMALLEST = """\
model: tiny
task: binary
entity_key: id
event_time: at
source: {features: tiny/features.sql, labels: tiny/labels.sql}
label: {column: y}
"""


def write(folder: Path, text: str, name: str = "tiny.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> str:
    with pytest.raises(SpecError) as caught:
        read_spec(write(folder, text))
    return str(caught.value)


def test_the_smallest_spec_is_model_task_key_time_source_and_label(tmp_path: Path) -> None:
    assert read_spec(write(tmp_path, SMALLEST)).train.estimators == ("xgboost", "hist_gradient_boosting")


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known_one(tmp_path: Path) -> None:
    message = problems(tmp_path, SMALLEST + "trian: {window: 30 days}\n")
    assert "tiny.yaml:7: unknown key 'trian'; did you mean 'train'?" in message


def test_a_wrong_type_is_named_with_its_line(tmp_path: Path) -> None:
    assert "tiny.yaml:7: train.random_state" in problems(tmp_path, SMALLEST + "train: {random_state: many}\n")


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    assert "key 'event_time' is missing" in problems(tmp_path, SMALLEST.replace("event_time: at\n", ""))


def test_all_problems_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    message = problems(tmp_path, SMALLEST.replace("binary", "binari") + "owner: [1]\nlable: {}\n")
    assert "3 problem(s)" in message


def test_a_duplicate_key_is_refused(tmp_path: Path) -> None:
    assert "tiny.yaml:7: key 'model' is duplicated" in problems(tmp_path, SMALLEST + "model: tiny\n")


@pytest.mark.parametrize("value", ["&a 1", "!!python/object:os.system x", "[" * 30 + "]" * 30])
def test_anchors_tags_and_deep_nesting_are_refused(tmp_path: Path, value: str) -> None:
    assert "are not allowed in a spec" in problems(tmp_path, SMALLEST + f"description: {value}\n")


@pytest.mark.parametrize("text", ["no", "on", "012", "12:30", "1e3x", "0x1F"])
def test_words_that_old_yaml_would_turn_into_something_else_stay_words(tmp_path: Path, text: str) -> None:
    assert read_spec(write(tmp_path, SMALLEST + f"description: {text}\n")).description == text


def test_half_of_a_surrogate_pair_is_refused_with_its_line(tmp_path: Path) -> None:
    contract = r'contract: [{expect_column_values_to_be_in_set: {column: c, value_set: ["\ud800"]}}]'
    (problem,) = [item for item in problems(tmp_path, f"{SMALLEST}{contract}\n").splitlines() if "surrogate" in item]
    assert "tiny.yaml:7:" in problem


def test_the_file_is_named_as_the_model(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"other\.yaml:1: model is 'tiny'"):
        read_spec(write(tmp_path, SMALLEST, "other.yaml"))


def test_a_missing_file_is_reported_with_the_models_that_exist(tmp_path: Path) -> None:
    write(tmp_path, SMALLEST)
    with pytest.raises(SpecError, match=r"Models that exist in .*: tiny"):
        read_spec(tmp_path / "tinny.yaml")


def test_a_file_that_is_not_a_mapping_is_refused(tmp_path: Path) -> None:
    assert "a spec is a mapping" in problems(tmp_path, "- 1\n")


def test_a_syntax_error_is_named_with_its_line(tmp_path: Path) -> None:
    assert "tiny.yaml:8: not valid YAML" in problems(tmp_path, SMALLEST + "owner: [\n")


def test_a_path_out_of_the_sql_folder_is_refused(tmp_path: Path) -> None:
    assert "source.features" in problems(tmp_path, SMALLEST.replace("tiny/features.sql", "../secret.sql"))


def test_the_label_may_not_be_a_feature(tmp_path: Path) -> None:
    assert "the label 'y' is listed as a feature" in problems(tmp_path, SMALLEST + "features: {numeric: [y]}\n")


def test_problems_of_several_files_come_together(tmp_path: Path) -> None:
    write(tmp_path, "model: 1\n", "a.yaml")
    write(tmp_path, "model: 2\n", "b.yaml")
    with pytest.raises(SpecError) as caught:
        load_specs(tmp_path)
    assert "a.yaml:" in str(caught.value)
    assert "b.yaml:" in str(caught.value)


def test_the_digest_does_not_see_comments_order_or_defaults(tmp_path: Path) -> None:
    one = read_spec(write(tmp_path, SMALLEST))
    other = read_spec(write(tmp_path, "# x\n" + "".join(sorted(SMALLEST.splitlines(True))) + "timezone: UTC\n"))
    assert one.digest == other.digest


def test_the_digest_sees_every_change_of_meaning(tmp_path: Path) -> None:
    one = read_spec(write(tmp_path, SMALLEST))
    assert one.digest != read_spec(write(tmp_path, SMALLEST + "accept: {margin: 0.006}\n")).digest


def test_a_spec_survives_the_trip_through_json(tmp_path: Path) -> None:
    spec = read_spec(
        write(tmp_path, SMALLEST + "contract:\n  - expect_column_to_exist: {column: id, severity: warn}\n")
    )
    assert ModelSpec.model_validate(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize("rule", ["f1", "youden", "cost 5", "cost 0.5", "precision 0.6", "recall 0.85", "top 500"])
def test_a_rule_for_the_threshold_is_a_word_and_a_number(tmp_path: Path, rule: str) -> None:
    assert read_spec(write(tmp_path, SMALLEST + f"train: {{threshold: {rule}}}\n")).train.threshold == rule


@pytest.mark.parametrize("rule", ["f2", "cost", "cost -1", "precision 60", "recall 1.5"])
def test_a_rule_for_the_threshold_that_is_none_is_refused_with_examples(tmp_path: Path, rule: str) -> None:
    assert "'precision 0.6'" in problems(tmp_path, SMALLEST + f"train: {{threshold: {rule}}}\n")


def test_a_monotonic_feature_has_to_be_a_number(tmp_path: Path) -> None:
    text = SMALLEST + "features: {numeric: [km], categorical: [carrier]}\ntrain: {monotonic: {carrier: increasing}}\n"
    assert "train.monotonic names carrier, which is not a numeric feature" in problems(tmp_path, text)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_only_a_binary_label_has_a_positive_class(tmp_path: Path, task: str) -> None:
    text = SMALLEST.replace("task: binary", f"task: {task}").replace("column: y", "column: y, positive: late")
    assert f"task '{task}' has no positive class" in problems(tmp_path, text)


def test_custom_estimators_give_no_reasons_while_scoring(tmp_path: Path) -> None:
    own = "train: {estimators: [mine], own: {mine: {type: sklearn.naive_bayes.GaussianNB}}}\npredict: {reasons: 3}\n"
    assert "predict.reasons: estimators of your own (mine)" in problems(tmp_path, SMALLEST + own)


@pytest.mark.parametrize("value", ["90", "true", "9999999 weeks", "-1 days"])
def test_a_duration_has_a_unit_and_an_end(tmp_path: Path, value: str) -> None:
    assert "tiny.yaml:7: retrain.cooldown: '" in problems(tmp_path, SMALLEST + f"retrain: {{cooldown: {value}}}\n")


def test_a_long_duration_survives_the_trip_through_json(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, SMALLEST + "train: {window: 5000 weeks}\n"))
    assert ModelSpec.model_validate_json(spec.meaning).train.window == spec.train.window


@pytest.mark.parametrize("value", ["2013", "86400", "2013-1-1", "2013-02-30", "2013-01-01T00:00"])
def test_a_day_is_written_whole(tmp_path: Path, value: str) -> None:
    message = problems(tmp_path, SMALLEST + f"partitions: {{first: {value}}}\n")
    assert "is not a day; write it like 2013-07-01" in message


def test_a_schedule_that_never_comes_is_refused(tmp_path: Path) -> None:
    assert "never occurs" in problems(tmp_path, SMALLEST + "predict: {schedule: 0 0 30 2 *}\n")


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("features: {numeric: [Amount]}", "features.numeric.0: expected a name of lower-case letters"),
        ("train: {estimators: xgboost}", "train.estimators: expected a list, such as [a, b], found 'xgboost'"),
        ("predict:", "predict: expected a mapping, such as {key: value}, found nothing"),
        ("accept: {minimum: high}", "accept.minimum: expected a number, found 'high'"),
        ("train: {search: {space: {xgboost: {max_depth: {low: a, high: 9}}}}}",
         "max_depth.low: expected a whole number or a number, found 'a'"),
    ],
)  # fmt: skip
def test_what_was_expected_is_reported_in_the_words_of_a_spec(tmp_path: Path, extra: str, said: str) -> None:
    message = problems(tmp_path, SMALLEST + extra + "\n")
    assert said in message
    assert "1 problem(s)" in message


def test_features_that_are_given_are_some(tmp_path: Path) -> None:
    assert "features: list at least one" in problems(tmp_path, SMALLEST + "features: {}\n")


@pytest.mark.parametrize("change", [("time: at", "time: id"), ("y}", "id}"), ("y}", "at}"), ("y}", "observed_at}")])
def test_key_time_and_label_are_three_columns(tmp_path: Path, change: tuple[str, str]) -> None:
    assert "must be three different columns" in problems(tmp_path, SMALLEST.replace(*change))


@pytest.mark.parametrize(
    "change", [("event_time: at", "event_time: published_at"), ("entity_key: id", "entity_key: score")]
)
def test_key_and_time_leave_the_view_its_own_columns(tmp_path: Path, change: tuple[str, str]) -> None:
    assert "the view predictions.tiny already has a column" in problems(tmp_path, SMALLEST.replace(*change))


@pytest.mark.parametrize("name", ["run", "part", "run_7", "part_12"])
def test_a_model_does_not_take_the_name_of_a_table_of_the_ledger(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match="choose another name"):
        read_spec(write(tmp_path, SMALLEST.replace("model: tiny", f"model: {name}"), f"{name}.yaml"))


def test_the_first_of_many_partitions_does_not_come_after_the_last(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, SMALLEST))
    assert [item.key for item in spec.partitions_between("2013-07-02", "2013-07-02")] == ["2013-07-02"]
    with pytest.raises(PartitionError, match="'2013-07-02' comes after '2013-07-01'"):
        spec.partitions_between("2013-07-02", "2013-07-01")


@pytest.mark.parametrize(
    ("every", "short", "enough"),
    [("day", "23 hours", "1 day"), ("week", "6 days", "7 days"), ("month", "30 days", "31 days")],
)
def test_a_look_back_that_holds_no_partition_is_refused(tmp_path: Path, every: str, short: str, enough: str) -> None:
    spec = SMALLEST + f"partitions: {{every: {every}}}\npredict: {{lookback: "
    assert f"write '{enough}' or more" in problems(tmp_path, spec + short + "}\n")
    assert read_spec(write(tmp_path, spec + enough + "}\n")).predict.lookback
    assert read_spec(write(tmp_path, spec + "0 days}\n")).predict.lookback == timedelta()


def test_partitions_of_an_hour_have_a_schedule_of_their_own(tmp_path: Path) -> None:
    hourly = SMALLEST + "partitions: {every: hour}\n"
    assert "would score one per day" in problems(tmp_path, hourly)
    for schedule in ("5 * * * *", "null"):
        assert read_spec(write(tmp_path, hourly + f"predict: {{schedule: {schedule}}}\n")).predict.schedule in (
            "5 * * * *",
            None,
        )


def test_a_key_of_another_length_says_so(tmp_path: Path) -> None:
    weekly = read_spec(write(tmp_path, SMALLEST + "partitions: {every: week}\n"))
    with pytest.raises(PartitionError, match=r"is not a week in UTC. Write it like '2013-W27'. It names a day"):
        weekly.partition("2013-07-04")


def test_data_that_begin_later_by_now_refuse_what_is_asked_and_know_what_was(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, SMALLEST + "partitions: {first: 2013-07-04}\n"))
    assert spec.partition("2013-07-03").key == "2013-07-03"
    with pytest.raises(PartitionError, match="lies outside the data"):
        spec.asked("2013-07-03")


@pytest.mark.parametrize(
    ("names", "said"), [("ridge, ridge", "lists ridge twice"), ("ridge, prior", "lists prior, which is a baseline")]
)
def test_candidates_differ_and_are_no_baselines(tmp_path: Path, names: str, said: str) -> None:
    assert said in problems(tmp_path, SMALLEST + f"train: {{estimators: [{names}]}}\n")


@pytest.mark.parametrize(
    ("make", "kind"),
    [(Path.mkdir, "a folder"), (os.mkfifo, "a named pipe"), (lambda path: path.symlink_to("/dev/zero"), "a device")],
)
def test_what_is_not_a_file_is_named_and_never_waited_for(
    tmp_path: Path, make: Callable[[Path], object], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.open", lambda *_: pytest.fail("it was opened"))
    make(tmp_path / "tiny.yaml")
    with pytest.raises(SpecError, match=rf"tiny\.yaml is {kind}, not a file"):
        read_spec(tmp_path / "tiny.yaml")


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_followed(tmp_path: Path) -> None:
    models, data = tmp_path / "models", tmp_path / "models" / "..2026"  # as Kubernetes mounts a ConfigMap
    data.mkdir(parents=True)
    write(data, SMALLEST)
    (models / "tiny.yaml").symlink_to("..2026/tiny.yaml")
    assert read_spec(models / "tiny.yaml").model == "tiny"
    write(tmp_path, SMALLEST.replace("tiny", "other"), "other.yaml")
    (models / "other.yaml").symlink_to(tmp_path / "other.yaml")
    with pytest.raises(SpecError, match="is a link out of its folder"):
        read_spec(models / "other.yaml")


def test_a_dangling_link_is_named_with_its_target(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").symlink_to("nowhere")
    with pytest.raises(SpecError, match="is a link to nowhere, which does not exist"):
        read_spec(tmp_path / "tiny.yaml")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path, SMALLEST)
    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(SpecError, match=r"tiny\.yaml cannot be read: Permission denied"):
        read_spec(path)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")
    with pytest.raises(SpecError, match="models cannot be listed: Not a directory"):
        load_specs(tmp_path / "models")


def test_too_large_a_file_is_not_parsed(tmp_path: Path) -> None:
    assert "more than 1,000,000 bytes" in problems(tmp_path, SMALLEST + "# " + "x" * 1_000_000)


def test_too_many_values_are_refused(tmp_path: Path) -> None:
    assert "more than 50,000 values" in problems(tmp_path, SMALLEST + f"alerts: [{'1, ' * 60_000}]\n")


@pytest.mark.parametrize("number", ["9" * 5000, "9223372036854775808", "-9223372036854775809", "1e999"])
def test_a_number_beyond_64_bits_is_refused_with_its_line(tmp_path: Path, number: str) -> None:
    contract = f"contract: [{{expect_column_values_to_be_between: {{column: c, max_value: {number}}}}}]\n"
    assert "tiny.yaml:7: the number" in problems(tmp_path, SMALLEST + contract)


@pytest.mark.parametrize("number", ["9223372036854775807", "-9223372036854775808", "1e308"])
def test_a_number_within_64_bits_is_read_exactly(tmp_path: Path, number: str) -> None:
    contract = f"contract: [{{expect_column_values_to_be_between: {{column: c, max_value: {number}}}}}]\n"
    spec = read_spec(write(tmp_path, SMALLEST + contract))
    assert spec.contract[0].arguments["max_value"] == (float if "e" in number else int)(number)


@pytest.mark.parametrize("escape", ["\\0", "\\e[2J", "\\x9b"])
def test_a_control_character_is_refused_and_not_shown_as_such(tmp_path: Path, escape: str) -> None:
    message = problems(tmp_path, SMALLEST + f'description: "a{escape}"\n')
    assert "tiny.yaml:7: 'a\\x" in message
    assert all(line.isprintable() for line in message.splitlines())


def test_a_rule_that_fails_unexpectedly_is_a_problem_of_the_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OverflowError("date value out of range")

    monkeypatch.setattr(ModelSpec, "model_validate", fail)
    assert "cannot be checked: OverflowError: date value out of range" in problems(tmp_path, SMALLEST)


def test_a_second_document_is_refused(tmp_path: Path) -> None:
    assert "tiny.yaml:7: a spec is one document" in problems(tmp_path, SMALLEST + "---\nmodel: other\n")


def test_a_key_that_is_a_list_is_refused(tmp_path: Path) -> None:
    assert "tiny.yaml:7: a key is a word" in problems(tmp_path, SMALLEST + "? [a]\n: 1\n")


def test_only_the_first_of_many_problems_are_shown(tmp_path: Path) -> None:
    message = problems(tmp_path, SMALLEST + "".join(f"key_{number}: 1\n" for number in range(300)))
    assert "has 300 problem(s)" in message
    assert message.count("unknown key") == 50
    assert "and 250 more" in message


@pytest.mark.parametrize("owner", ["o" * 201, '"two\\nlines"'], ids=["long", "two lines"])
def test_an_owner_is_one_line_that_airflow_can_store(tmp_path: Path, owner: str) -> None:
    # Airflow stores 2,000 characters; its DAG processor ends with an error at more, for all models.
    assert "tiny.yaml:7: owner: expected one line of at most 200 characters" in problems(
        tmp_path, f"{SMALLEST}owner: {owner}\n"
    )


def test_a_zone_that_differs_between_machines_is_refused(tmp_path: Path) -> None:
    assert "'localtime' is not an IANA time zone" in problems(tmp_path, f"{SMALLEST}timezone: localtime\n")


@pytest.mark.parametrize("limit", ["first", "last"])
def test_a_limit_on_a_day_that_the_clocks_skipped_is_refused(tmp_path: Path, limit: str) -> None:
    text = f"{SMALLEST}timezone: Pacific/Apia\npartitions: {{{limit}: 2011-12-30}}\n"
    assert f"partitions.{limit}: the clocks of Pacific/Apia skipped 2011-12-30" in problems(tmp_path, text)


def test_a_text_that_is_too_short_is_not_called_no_text(tmp_path: Path) -> None:
    assert "expected at least 1 character, found ''" in problems(
        tmp_path, f"{SMALLEST}predict: {{ready: {{after: ['']}}}}\n"
    )


def test_a_file_is_parsed_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = read_spec(write(tmp_path, SMALLEST))
    with monkeypatch.context() as patched:
        patched.setattr("tidemill.spec_file.parse_document", lambda _: pytest.fail("it was parsed again"))
        assert read_spec(tmp_path / "tiny.yaml") is spec
    assert read_spec(write(tmp_path, SMALLEST + "owner: me\n")).owner == "me"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{by: jo, signed: 2026-11-30, until: 2026-11-30, says: x}", "must come after signed 2026-11-30"),
        ("{by: jo, signed: 2026-11-30, until: 2027-12-02, says: x}", "by at most 366 days"),
        ("{by: jo, signed: 2026-11-30, says: x}", "key 'attest.privacy.until' is missing"),
        ("{by: '', signed: 2026-11-30, until: 2027-11-30, says: x}", "attest.privacy.by"),
    ],
)
def test_an_attestation_names_who_and_when_and_expires(tmp_path: Path, entry: str, said: str) -> None:
    assert said in problems(tmp_path, f"{SMALLEST}attest: {{privacy: {entry}}}\n")


def test_an_attestation_of_an_unknown_line_is_refused(tmp_path: Path) -> None:
    entry = "{by: jo, signed: 2026-11-30, until: 2027-11-30, says: x}"
    assert "tiny.yaml:7: attest" in problems(tmp_path, f"{SMALLEST}attest: {{privat: {entry}}}\n")
