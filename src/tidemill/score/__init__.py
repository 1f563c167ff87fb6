"""The ML Test Score of a model (Breck et al. 2017), computed from rows of the ledger that can be falsified.

`lines` declares what each line needs; `reading` reads the evidence; `points` turns evidence into points.
"""

from tidemill.score.reading import read_scorecard

__all__ = ["read_scorecard"]
