"""The simulator: a model's past, lived again day by day under several policies of retraining.

It runs the same steps as production on a ledger and a storage of its own, which vanish afterwards. Nothing of the real
ledger is read or written; the source is read once.
"""

from tidemill.simulation.compare import gain
from tidemill.simulation.drill import Drill, Tried, drill
from tidemill.simulation.injections import Injection
from tidemill.simulation.outcome import Opened, Outcome, Policy
from tidemill.simulation.run import SOURCE, Simulation, simulate

__all__ = [
    "SOURCE",
    "Drill",
    "Injection",
    "Opened",
    "Outcome",
    "Policy",
    "Simulation",
    "Tried",
    "drill",
    "gain",
    "simulate",
]
