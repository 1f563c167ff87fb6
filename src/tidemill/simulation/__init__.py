"""Simulations: a model's past, replayed day by day under several retraining policies or with injected faults.

They run production's steps on a temporary ledger and storage. The real ledger is neither read nor written, and the
source is read once.

===================  ==================================================================
``past``             the partitions to replay
``simulate``         replays them once per policy, and compares the policies
``drill``            injects one fault at a time, and checks which alert sees it
``trial``            one training in a sandbox, on a sample of the window
``replay``           one policy, day by day
``simulated_steps``  runs a step as in production, and equal ones once
``injections``       faults of the source
``sandbox``          specs, queries and a copy of the source's rows
``database``         the temporary database
``outcome``          what a replay returns
``compare``          the gain of one policy over another
===================  ==================================================================
"""

from tidemill.simulation.compare import gain
from tidemill.simulation.drill import Drill, Tried, drill
from tidemill.simulation.injections import Injection
from tidemill.simulation.outcome import Held, Opened, Outcome, Policy
from tidemill.simulation.past import Past
from tidemill.simulation.simulate import Simulation, simulate

__all__ = [
    "Drill",
    "Held",
    "Injection",
    "Opened",
    "Outcome",
    "Past",
    "Policy",
    "Simulation",
    "Tried",
    "drill",
    "gain",
    "simulate",
]
