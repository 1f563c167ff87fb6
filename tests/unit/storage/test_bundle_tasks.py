"""Bundles of every task on disk, and those that older code wrote."""

import shutil
from pathlib import Path

from tidemill.storage.bundles import load_bundle

PROTOCOL_1 = "511acc1fff0382c8bea443a9e214ca7549c3bba2266071271565a537f813a435"


def test_a_bundle_of_protocol_1_is_still_read(tmp_path):
    shutil.copytree(Path(__file__).parent / "protocol_1", tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle", PROTOCOL_1)
    assert (bundle.task, bundle.estimator, bundle.classes) == ("binary", "shallow_tree", (False, True))
