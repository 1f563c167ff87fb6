"""Which columns of a sample become features."""

import numpy as np
import pandas as pd
import pytest

from tidemill.onboarding.columns import TableColumn, candidates
from tidemill.onboarding.features import select_features
from tidemill.onboarding.names import TableName
from tidemill.onboarding.profile import Profile
from tidemill.onboarding.row_key import RowKey
from tidemill.onboarding.target import guess_target


@pytest.mark.parametrize(("n_stores", "expected"), [(50, ("store_group", "visits")), (51, ("visits",))])
def test_an_entity_that_is_one_of_few_is_a_category_too(n_stores: int, expected: tuple[str, ...]) -> None:
    rng = np.random.default_rng(1)
    n_rows = 20 * n_stores
    sample = pd.DataFrame(
        {"store": np.arange(n_rows) % n_stores, "visits": rng.normal(size=n_rows), "sales": rng.normal(size=n_rows)}
    )
    types = {"store": "bigint", "visits": "double precision", "sales": "double precision"}
    columns = tuple(TableColumn(name=name, type=kind) for name, kind in types.items())
    profile = Profile(
        table=TableName(schema="shop", name="weeks"),
        columns=columns,
        n_rows=n_rows,
        sample=sample,
        features=tuple(candidates(columns)[0]),
        unusable={},
        unique=(),
    )
    key = RowKey(columns=("store",), expression="store", why="once per week", within_partition=True)
    selected = select_features(profile, guess_target(profile, "sales"), key, None)
    assert tuple(item.name for item in selected.features) == expected
    assert list(selected.notes) == [
        "store is the key, and store_group is the same as a category, for what is usual for each."
    ] * (n_stores == 50)
