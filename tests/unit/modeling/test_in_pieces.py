"""XGBoost learns the same from rows read in pieces as from all rows at once."""

import shutil
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from tidemill.arrow import to_frame
from tidemill.errors import ContractBroken, NotTrainable, SpecError, StorageFull
from tidemill.modeling.estimators import Pieces, boost_on_disk, fit, fit_in_pieces, score_in_pieces
from tidemill.modeling.schema import FeatureSchema
from tidemill.storage.bundles.save import pack_bundle

from .conftest import SCHEMA, make_answers, make_rows


def batches(table, size, names):
    yield from table.select(list(names)).to_batches(max_chunksize=size)


def pieces(X, y, size=130):
    return Pieces(read=partial(batches, pa.Table.from_pandas(X, preserve_index=False), size), y=np.asarray(y))


def in_pieces(task, train, validation, cache, size=130, stops=None, **more):
    rows, aside = pieces(*train, size), pieces(*validation, size)

    def boost(boosting, encoding, labels, used):
        every = np.full(len(labels.train), True)
        return boost_on_disk(
            boosting,
            lambda: encoding.pages(rows, labels.train, every),
            lambda: encoding.pages(aside, labels.validation, used),
            cache,
        )

    given = {"random_state": 7, "n_threads": 1, "stops": np.full(len(validation[1]), True) if stops is None else stops}
    return fit_in_pieces(task, more.pop("schema", SCHEMA), rows, aside, boost=boost, **given, **more)


@pytest.mark.parametrize("size", [130, 1500], ids=["many pieces", "one piece"])
def test_the_files_of_the_bundle_are_equal_byte_by_byte(fitted, train, validation, tmp_path, size):
    bundle, _ = in_pieces("binary", train, validation, tmp_path, size)
    golden = validation[0].head(20)
    assert pack_bundle(bundle, golden) == pack_bundle(fitted("xgboost"), golden)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_so_they_are_for_other_tasks(fitted_for, sets, tmp_path, task):
    train, validation, _ = sets[task]
    bundle, score = in_pieces(task, train, validation, tmp_path)
    assert pack_bundle(bundle, validation[0].head(20)) == pack_bundle(
        fitted_for(task, "xgboost"), validation[0].head(20)
    )
    assert np.array_equal(score, bundle.score(validation[0]))


def test_parameters_and_directions_are_heeded_as_in_memory(train, validation, tmp_path):
    schema, parameters = replace(SCHEMA, increasing=("wind",)), {"max_bin": 32, "max_depth": 2, "n_rounds": 30}
    whole = fit("xgboost", "binary", schema, *train, *validation, random_state=7, n_threads=1, parameters=parameters)
    bundle, _ = in_pieces("binary", train, validation, tmp_path, schema=schema, parameters=parameters)
    assert bundle.model.save_raw() == whole.model.save_raw()


def test_only_the_rows_that_are_to_stop_it_do(train, validation, tmp_path):
    X, y = validation
    stops = np.arange(len(y)) < 300
    whole = fit("xgboost", "binary", SCHEMA, *train, X[stops], y[stops], random_state=7, n_threads=1)
    bundle, score = in_pieces("binary", train, validation, tmp_path, stops=stops)
    assert bundle.model.save_raw() == whole.model.save_raw()
    assert len(score) == len(y)


def test_a_class_that_training_lacks_stops_nothing_and_is_reported(sets, tmp_path):
    train, (X, y), _ = sets["multiclass"]
    odd = y.copy()
    odd[:5] = "cancelled"
    whole = fit("xgboost", "multiclass", SCHEMA, *train, X, odd, random_state=7, n_threads=1)
    bundle, _ = in_pieces("multiclass", train, (X, odd), tmp_path)
    assert (bundle.model.save_raw(), bundle.remarks) == (whole.model.save_raw(), whole.remarks)


def test_columns_that_are_not_plain_numbers_or_texts_are_read_too(train, validation, tmp_path):
    X, y = train
    odd = X.assign(origin=X["origin"].map({"EWR": 1, "JFK": 2, "LGA": 3}))  # a category that comes as a number
    aside = validation[0].assign(origin=validation[0]["origin"].map({"EWR": 1, "JFK": 2, "LGA": 3}))
    whole = fit("xgboost", "binary", SCHEMA, odd, y, aside, validation[1], random_state=7, n_threads=1)
    bundle, _ = in_pieces("binary", (odd, y), (aside, validation[1]), tmp_path)
    assert bundle.model.save_raw() == whole.model.save_raw()


def test_nothing_is_left_on_disk(train, validation, tmp_path):
    in_pieces("binary", train, validation, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_has_no_room_for_a_page_is_an_error_and_not_the_end_of_the_process(
    train, validation, tmp_path, monkeypatch
):
    free = iter([10**9] * 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(free, 100)))
    with pytest.raises(StorageFull, match="where 100 are free"):
        in_pieces("binary", train, validation, tmp_path)


def test_a_row_that_no_model_may_read_is_refused_with_a_message(train, validation, tmp_path):
    X = train[0].copy()
    X.loc[1400, "wind"] = np.inf
    with pytest.raises(ContractBroken, match="'wind'"):
        in_pieces("binary", (X, train[1]), validation, tmp_path)


def test_labels_that_teach_nothing_are_refused(train, validation, tmp_path):
    with pytest.raises(NotTrainable, match="both classes"):
        in_pieces("binary", (train[0], np.zeros(len(train[1]))), validation, tmp_path)


def test_an_unknown_parameter_and_an_empty_schema_are_refused(train, validation, tmp_path):
    with pytest.raises(SpecError, match="no parameter 'depth'"):
        in_pieces("binary", train, validation, tmp_path, parameters={"depth": 3})
    with pytest.raises(SpecError, match="no features"):
        in_pieces("binary", train, validation, tmp_path, schema=FeatureSchema())


def test_scores_in_pieces_are_those_of_all_rows(fitted, test_set):
    bundle = fitted("hist_gradient_boosting")
    assert np.array_equal(score_in_pieces(bundle, pieces(*test_set)), bundle.score(test_set[0]))


def test_without_validation_it_boosts_for_a_fixed_number_of_rounds(tmp_path):
    X, y = make_rows(400, 5)[0], make_answers(make_rows(400, 5)[0], "regression", 1)
    whole = fit("xgboost", "regression", SCHEMA, X, y, X[:0], y[:0], random_state=7, n_threads=1)
    bundle, score = in_pieces("regression", (X, y), (X[:0], y[:0]), tmp_path)
    assert (bundle.model.save_raw(), bundle.remarks) == (whole.model.save_raw(), whole.remarks)
    assert score.shape == (0,)


@pytest.mark.parametrize("size", [130, 1500], ids=["many pieces", "one piece"])
def test_whole_numbers_beyond_2_to_53_are_learnt_alike_beside_a_null_in_some_piece(tmp_path, size):
    rng = np.random.default_rng(0)
    picked = rng.integers(0, 8, 1_500)
    y = rng.random(1_500) < np.where(picked % 2, 0.9, 0.1)
    mask = np.arange(1_500) == 77  # one NULL, in one piece
    table = pa.table({"x": rng.normal(size=1_500), "shop": pa.array(2**60 + picked, pa.int64(), mask=mask)})
    rows = Pieces(read=partial(batches, table, size), y=y)
    schema = FeatureSchema(numeric=("x",), categorical=("shop",))

    def boost(boosting, encoding, labels, used):
        every = np.full(len(labels.train), True)
        pages = partial(encoding.pages, rows, labels.train, every)
        return boost_on_disk(boosting, pages, pages, tmp_path)

    given = {"random_state": 7, "n_threads": 1}
    bundle, score = fit_in_pieces("binary", schema, rows, rows, stops=np.full(1_500, True), boost=boost, **given)
    whole = fit("xgboost", "binary", schema, to_frame(table), y, to_frame(table), y, **given)
    assert bundle.model.save_raw() == whole.model.save_raw()
    assert ((score > 0.5) == (picked % 2 == 1))[~mask].all()
