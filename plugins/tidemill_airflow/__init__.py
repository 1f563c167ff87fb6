"""How a step becomes an Airflow task: operators, retries, schedules, assets, parameters.

No logic of a step is here, and nothing heavy is imported while Airflow parses a DAG.
"""
