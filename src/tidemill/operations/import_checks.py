"""Checks of an archive's content before any of it is kept: the folders that it names, and the texts that pages show."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tidemill.errors import ArtifactCorrupt
from tidemill.records import Passport
from tidemill.report.pages import evaluation_page, read_pictures
from tidemill.storage.archive import CARD, EVALUATION

__all__ = ["refuse_other_places", "refuse_unreadable_texts"]

_AGAIN = "Do not use it; export the release again."
_PLACE = re.compile(r"(?P<owner>[a-z][a-z0-9_]{0,47})/(?P<kind>[a-z]+)/(?P<digest>[0-9a-f]{64})")


def refuse_other_places(passport: Passport) -> None:
    """Raise unless all folders in a passport belong to its model, and those of its files are named by their digest.

    Raises
    ------
    ArtifactCorrupt
        If one does not; the error names it.
    """
    report = passport.evaluation
    kinds = {report.bundle.uri: "bundles", report.uri: "evaluations", passport.snapshot.uri: "snapshots"}
    digests = {report.bundle.uri: report.bundle.digest, passport.snapshot.uri: passport.snapshot.digest}
    for uri in (*kinds, *_places(report.to_dict())):
        place = _PLACE.fullmatch(uri)
        if (
            place is None
            or place["owner"] != passport.model
            or place["kind"] != kinds.get(uri, place["kind"])
            or place["digest"] != digests.get(uri, place["digest"])
        ):
            raise ArtifactCorrupt(
                f"The passport of release {passport.release_id} of {passport.model!r} names {uri!r}, which is not a folder"
                " of this model's artifacts.",
                _AGAIN,
            )


def refuse_unreadable_texts(passport: Passport, unpacked: Path) -> None:
    """Raise unless the release's page can be rendered as in the console, and its card is text.

    Raises
    ------
    ArtifactCorrupt
        If not; the error gives the reason.
    """
    subject = f"release {passport.release_id} of {passport.model!r}"
    pictures = read_pictures(unpacked / EVALUATION)
    try:
        evaluation_page(passport.snapshot, passport.evaluation, passport.decision, pictures=pictures)
        if (unpacked / CARD).is_file():
            (unpacked / CARD).read_text(encoding="utf-8")
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise ArtifactCorrupt(f"No page can be made of {subject}: {error!r}.", _AGAIN) from error


def _places(values: Any) -> Iterator[str]:
    """Yield the folders that JSON values name, at any depth; skip empty names."""
    if isinstance(values, dict):
        for name, value in values.items():
            if isinstance(value, str) and name.endswith("uri") and value:
                yield value
            else:
                yield from _places(value)
    elif isinstance(values, list):
        for value in values:
            yield from _places(value)
