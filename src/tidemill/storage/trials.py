"""Trials on disk while a search runs, one file each, so that a search that was killed goes on where it stopped.

They lie in a folder named by what the search depends on: another split, seed, space or version is another search. The
folder's prefix is that of unfinished work, so retention removes it once its process is long dead.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tidemill.records import Trial
from tidemill.storage.atomic import WRITING, replace_file

__all__ = ["TRIALS", "TrialLog"]

TRIALS = "trials.json"
"""File with all trials in the folder of a search that is finished."""

_NUMBER = re.compile(r"trial-(\d{4})\.json")


@dataclass(frozen=True, slots=True)
class TrialLog:
    """The trials of one search that is not finished."""

    folder: Path
    """Where they lie; made when the first is kept."""

    @classmethod
    def of(cls, parent: Path, depends_on: Mapping[str, object]) -> "TrialLog":
        """Return the log of the search that depends on these values.

        Parameters
        ----------
        parent : Path
            Folder of all searches of a model.
        depends_on : mapping of str to object
            Everything that changes a trial, as JSON types.
        """
        identity = hashlib.sha256(json.dumps(dict(depends_on), sort_keys=True).encode()).hexdigest()
        return cls(parent / f"{WRITING}{identity}")

    def read(self) -> tuple[Trial, ...]:
        """Return the trials kept so far, from number 0 on, up to the first that is missing or damaged."""
        trials: list[Trial] = []
        for path in sorted(self.folder.glob("trial-*.json")):
            match = _NUMBER.fullmatch(path.name)
            if match is None or int(match[1]) != len(trials):
                break
            try:
                trials.append(Trial.from_dict(json.loads(path.read_bytes())))
            except ValueError:  # it is measured again, and comes out the same
                break
        return tuple(trials)

    def keep(self, trial: Trial) -> None:
        """Keep a trial; it is there whole or not at all, and survives a power cut.

        Raises
        ------
        StorageFull
            If the disk has no room.
        """
        content = json.dumps(trial.to_dict(), sort_keys=True).encode()
        replace_file(self.folder / f"trial-{trial.number:04}.json", content)

    def remove(self) -> None:
        """Remove the log: the search is over, and its trials are kept elsewhere."""
        with suppress(FileNotFoundError):  # a second attempt at the same task has done so
            shutil.rmtree(self.folder)
