"""Bundles on disk: a fitted model as plain files, all checked before any object is constructed.

::

    manifest.json          protocol, digest of every file, environment, seed, threads; its own digest names the bundle
    schema.json            task, estimator, features, classes, threshold, settings of the task
    preprocessing.skops    fitted encoders and imputers
    model.json             the booster in XGBoost's JSON; or model.skops for a scikit-learn estimator, lightgbm.txt for
                           LightGBM, catboost.json for CatBoost
    golden.parquet         rows with their expected scores
    MODEL_CARD.md          optional and outside the digest: for people, written later, never loaded

`load` reads each file once and checks, in this order: the manifest's digest, every file's digest, no file missing or
extra, no link; the library versions; the allowed types; the indices of tree nodes; and, after
construction, the golden rows. Neither direction uses pickle. `save` writes the same bytes for the same fitted model:
the files contain no time, path or memory address.
"""

from tidemill.storage.bundles.load import MODEL_CARD, PROTOCOL, bundle_digest, load_bundle, read_manifest

__all__ = ["MODEL_CARD", "PROTOCOL", "bundle_digest", "load_bundle", "read_manifest"]
