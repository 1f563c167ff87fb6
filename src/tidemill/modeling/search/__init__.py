"""Hyperparameter search: spaces, folds by time, and paired comparison of settings."""
