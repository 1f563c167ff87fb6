"""Running steps: declarations, the job, its row in the ledger, limits, and the chains that put steps in order.

Nothing here knows how a step works.
"""
