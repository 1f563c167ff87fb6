"""How a step becomes an Airflow task: operators, retries, schedules, assets, parameters.

No step's logic lives here, and nothing heavy is imported while Airflow parses a DAG.
"""
