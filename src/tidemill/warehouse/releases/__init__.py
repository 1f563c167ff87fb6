"""Releases: register, promote, and what the ledger records about how each was made."""
