"""Removals: what is or would be removed, and the outcome."""

from dataclasses import dataclass

from tidemill.records import Record

__all__ = ["Removal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal(Record):
    """Something that is or would be removed."""

    model: str
    kind: str
    """``prediction_run``, ``leftover``, ``records``, or a kind of folder: ``snapshots``, ``splits``, ``bundles``, …"""
    name: str
    """Number of the prediction run, the folder's URI, or how many records."""
    size_bytes: int
    reason: str
    """Why it may be removed, e.g. ``superseded since 2013-04-02``."""
    outcome: str = "due"
    """``due``, ``collected``, ``busy`` (in use; tried again next time), ``kept`` (used in the meantime)."""
