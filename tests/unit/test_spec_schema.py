import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tidemill.spec.schema import json_schema

EXAMPLE = Path(__file__).parents[2] / "dags" / "models" / "flight_delays.yaml"


@pytest.fixture
def example() -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    plain: dict[str, Any] = json.loads(json.dumps(spec, default=str))  # JSON has no dates
    return plain


def problems(spec: dict[str, Any]) -> list[str]:
    return [error.message for error in Draft202012Validator(json_schema()).iter_errors(spec)]


def test_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_the_example_meets_the_schema(example: dict[str, Any]) -> None:
    assert problems(example) == []


def test_an_unknown_key_does_not(example: dict[str, Any]) -> None:
    assert problems(example | {"trian": {}}) != []


def test_a_duration_is_words(example: dict[str, Any]) -> None:
    example["train"]["window"] = "P90D"
    assert problems(example) != []


def test_an_expectation_is_one_key_with_its_arguments(example: dict[str, Any]) -> None:
    example["contract"] = [{"expect_column_to_exist": {"column": "origin", "severity": "warn"}}]
    assert problems(example) == []


def test_every_key_of_the_schema_that_has_a_docstring_carries_it() -> None:
    assert json_schema()["properties"]["entity_key"]["description"].startswith("Column that identifies a row")
