"""Trials on disk while a search runs, one file each, so that a killed search resumes where it stopped.

Their folder is named by all inputs of the search: another split, seed, space or version is another search. The folder has
the prefix of unfinished work, so retention removes it some time after its process has died.
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
    """The trials of one unfinished search."""

    folder: Path
    """Their folder; created with the first trial."""

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
            except ValueError:  # it is measured again, with the same result
                break
        return tuple(trials)

    def keep(self, trial: Trial) -> None:
        """Write a trial, atomically and flushed to disk.

        Raises
        ------
        StorageFull
            If the disk has no room.
        """
        content = json.dumps(trial.to_dict(), sort_keys=True).encode()
        replace_file(self.folder / f"trial-{trial.number:04}.json", content)

    def remove(self) -> None:
        """Remove the log: the search is over, and its trials are kept elsewhere."""
        with suppress(FileNotFoundError):  # another attempt at the same task has done so
            shutil.rmtree(self.folder)
