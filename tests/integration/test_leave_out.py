"""Features that earn their place: fits without a group of features, beside what the group costs."""

from collections.abc import Callable
from typing import Any

import pytest

from tidemill.errors import SpecError

from .data import FEATURES_SQL, NEXT, SCORED, SPEC, TRAINED, Mill

NOISE = "(abs(hashtext(p.parcel_id)) % 1000)::float AS noise"
FEATURES = FEATURES_SQL.replace("p.express,", f"p.express, {NOISE},")
GROUPS = "leave_out: {groups: {load: [weight_kg, n_stops, n_parcels], noise: [noise]}}"
DECLARED = SPEC.replace("train: {", f"train: {{{GROUPS}, ")


@pytest.fixture(scope="module")
def trained(new_mill: Callable[[], Mill]) -> tuple[Mill, list[dict[str, dict[str, Any]]]]:
    mill = new_mill()
    mill.write(spec=DECLARED, features=FEATURES)
    return mill, [mill.train(day) for day in (TRAINED, SCORED, NEXT)]


def groups_of(records: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {group["name"]: group for group in records["evaluate"]["feature_groups"]}


def test_a_useful_group_shows_its_gain_and_a_useless_one_none(trained: tuple[Mill, list]) -> None:
    first = groups_of(trained[1][0])
    assert list(first) == ["noise", "load"]
    assert first["load"]["gain"]["low"] > 0
    assert first["noise"]["gain"]["low"] <= 0 <= first["noise"]["gain"]["high"]
    assert first["load"]["n_idle"] == 0


def test_the_cost_of_a_group_is_that_of_its_columns(trained: tuple[Mill, list]) -> None:
    load = groups_of(trained[1][0])["load"]
    assert load["null_share"] == pytest.approx(1 / 20 / 3)  # every 20th n_parcels is missing
    assert 24 <= load["bytes_per_row"] <= 25  # three doubles, and bits of validity
    assert load["fit_s"] > 0


def test_three_trainings_without_a_gain_are_a_reason_that_refuses_nothing(trained: tuple[Mill, list]) -> None:
    counts = [groups_of(records)["noise"]["n_idle"] for records in trained[1]]
    assert counts == [1, 2, 3]
    said = "The features of noise (noise) have shown no gain in 3 trainings in a row"
    told = [any(said in reason for reason in records["validate_model"]["reasons"]) for records in trained[1]]
    assert told == [False, False, True]
    assert trained[1][0]["validate_model"]["verdict"] == "accept"


def test_card_and_page_show_the_table(trained: tuple[Mill, list]) -> None:
    mill, (first, *_) = trained
    card = (mill.workspace.storage / first["evaluate"]["bundle"]["uri"] / "MODEL_CARD.md").read_text()
    assert "## Features that earn their place" in card
    assert "| noise | noise |" in card


def test_a_group_that_is_not_a_feature_is_refused(trained: tuple[Mill, list]) -> None:
    mill, _ = trained
    mill.write(spec=DECLARED.replace("[noise]}", "[nois]}"), features=FEATURES)
    with pytest.raises(SpecError, match="names nois, which the model does not read"):
        mill.train(TRAINED)
