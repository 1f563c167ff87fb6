"""A removal: one thing that goes or would go, and the outcome."""

from dataclasses import dataclass

from tidemill.records import Record

__all__ = ["Removal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal(Record):
    """One thing that goes, or would go."""

    model: str
    kind: str
    """``prediction_run``, ``leftover``, ``records``, or a kind of folder: ``snapshots``, ``splits``, ``bundles``, …"""
    name: str
    """Number of the prediction run, the folder's URI, or how many records."""
    size_bytes: int
    reason: str
    """Why it may go, e.g. ``superseded since 2013-04-02``."""
    outcome: str = "due"
    """``due``, ``collected``, ``busy`` (somebody is using it: next time), ``kept`` (it came into use meanwhile)."""
