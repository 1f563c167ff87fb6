"""The leak probe: signs that a training knows what only the future knows. Pure functions; a step raises.

Each looks for one sign and gives what it finds as `Leak`: a column that predicts the label by itself, a value that was
observed after the cutoff or has changed since it was served, test rows that stand in the train set too, and a pipeline
that scores well on labels without meaning. What only the query's author can know, no probe can find.
"""

from tidemill.modeling.leakage.alone import LIMITS, find_telling, telling
from tidemill.modeling.leakage.copies import find_copies
from tidemill.modeling.leakage.finding import Leak
from tidemill.modeling.leakage.late import find_changed, find_late
from tidemill.modeling.leakage.placebo import placebo

__all__ = ["LIMITS", "Leak", "find_changed", "find_copies", "find_late", "find_telling", "placebo", "telling"]
