"""The chain, one file a step, in the order of the method.

Train: ``extract`` ``validate_data`` ``analyse`` ``prepare`` ``train`` ``evaluate`` ``validate_model``
``register``. Predict: ``resolve_release`` ``extract`` ``validate_data`` ``predict`` ``publish``.
Watch: ``collect`` ``drift`` ``performance`` ``compute`` ``alert`` ``report``. Retrain: ``decide``
``record_outcome``.

Every step reads, calls pure functions, writes, and returns a record. ``running`` measures and records
them; ``chains`` puts them in a row for use without Airflow.
"""
