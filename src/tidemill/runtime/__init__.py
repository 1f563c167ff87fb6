"""What runs a step: the job, its row in the ledger, its limits, and the chains that put steps in order.

Nothing here knows what a step does.
"""
