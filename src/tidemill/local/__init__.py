"""The local stack: Postgres, MLflow and Airflow on one machine, and the example's data.

This room starts, watches and stops other programs. It never imports Airflow or MLflow, and no step, operator or
DAG may import it: what works here must work on a stack that somebody else runs.
"""
