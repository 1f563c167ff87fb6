"""The leak probe: signs that a training uses information from the future. Pure functions; the step raises.

Each function looks for one sign and returns its findings as `Leak`: a column that predicts the label by itself, a value
observed after the cutoff or changed since it was served, test rows that are also in the train set, and a pipeline that
scores well on random labels. The probe cannot find leaks that only the author of the query can know.
"""

from tidemill.modeling.leakage.alone import LIMITS, find_telling, telling
from tidemill.modeling.leakage.copies import find_copies
from tidemill.modeling.leakage.finding import Leak
from tidemill.modeling.leakage.late import find_changed, find_late
from tidemill.modeling.leakage.placebo import placebo

__all__ = ["LIMITS", "Leak", "find_changed", "find_copies", "find_late", "find_telling", "placebo", "telling"]
