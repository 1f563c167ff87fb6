"""The tests of a model, as a pytest plugin: ``pytest --tidemill-model MODEL``, or ``tidemill test MODEL``.

They train the model on a sample of its source in a database of their own, and never touch the real ledger.

===========  ==========================================================================
``plugin``   the options of pytest
``pack``     the tests
``scratch``  the model in a sandbox: trained, promoted, rolled back, reproduced
``hidden``   the features query on a sample of its tables, without what came later
``run``      the step that runs the tests and records their outcomes
===========  ==========================================================================
"""
