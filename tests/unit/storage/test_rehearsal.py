"""Each test starts a Python of its own: few, and each for one promise."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tidemill.modeling.bundle import Bundle
from tidemill.modeling.schema import FeatureSchema
from tidemill.storage.bundles.save import keep_bundle
from tidemill.storage.rehearsal import rehearse

ROWS = pd.DataFrame({"hour": np.arange(120.0) % 24, "wind": np.linspace(0, 30, 120)})


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A small bundle on disk: itself, its folder, its digest."""
    y = (ROWS["hour"] > 12).astype(int)
    scaler = StandardScaler().set_output(transform="default").fit(ROWS)
    bundle = Bundle(
        task="binary",
        estimator="logistic_regression",
        schema=FeatureSchema(numeric=("hour", "wind")),
        preprocessing=scaler,
        model=LogisticRegression().fit(scaler.transform(ROWS), y),
        threshold=0.5,
        threshold_criterion="",
        random_state=0,
        n_threads=1,
    )
    return bundle, *keep_bundle(bundle, tmp_path_factory.mktemp("bundles"), ROWS.head(10))


def test_a_clean_process_gives_the_same_scores_and_says_what_it_took(kept, monkeypatch):
    bundle, folder, digest = kept
    monkeypatch.setenv("TIDEMILL_CONN_WAREHOUSE", "postgresql://secret")
    found = rehearse(folder, digest, ROWS, bundle.score(ROWS))
    assert (found.problem, found.n_rows, found.n_different) == (None, 120, 0)
    assert found.seconds_per_million > 0
    assert found.peak_rss_bytes > 50 * 2**20


def test_one_bit_in_one_score_is_seen(kept):
    bundle, folder, digest = kept
    expected = bundle.score(ROWS)
    expected[7] = np.nextafter(expected[7], 1)
    assert rehearse(folder, digest, ROWS, expected).n_different == 1


def test_a_bundle_that_is_not_what_its_digest_says_does_not_come_to_an_end(kept):
    bundle, folder, _ = kept
    found = rehearse(folder, "0" * 64, ROWS, bundle.score(ROWS))
    assert found.n_rows == 0
    assert "ArtifactCorrupt" in found.problem


def test_a_process_that_takes_too_long_is_given_up(kept):
    bundle, folder, digest = kept
    assert rehearse(folder, digest, ROWS, bundle.score(ROWS), timeout_s=0.01).problem == "It was not done after 0 s."
