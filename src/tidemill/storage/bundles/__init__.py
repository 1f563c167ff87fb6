"""Bundles on disk: a fitted model as plain files that are checked before anything in them is constructed.

::

    manifest.json          protocol, digest of every file, environment, seed, threads; its own digest names the bundle
    schema.json            task, estimator, features, classes, threshold, what belongs to the task
    preprocessing.skops    fitted encoders and imputers
    model.json             the booster in XGBoost's JSON, or model.skops for a scikit-learn estimator
    golden.parquet         rows with the scores that they have to get
    MODEL_CARD.md          optional, outside the digest: for people, written later, never read here

`load` reads each file once and checks, in this order: the manifest's digest, every file's digest, no file missing or
extra, no link; the versions that it was made with; the allowed types; where the nodes of trees point; and, after
construction, the golden rows. No pickle, in either direction. `save` gives the same bytes for the same fitted model:
no time, path or memory address gets in.
"""

from tidemill.storage.bundles.load import MODEL_CARD, PROTOCOL, Manifest, bundle_digest, load_bundle, read_manifest

__all__ = ["MODEL_CARD", "PROTOCOL", "Manifest", "bundle_digest", "load_bundle", "read_manifest"]
