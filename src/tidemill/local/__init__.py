"""The local stack: Postgres, MLflow and Airflow as processes of this machine, kept in one home folder.

===============  ====================================================================
``stack``        the commands: up, down, status, sql, remove
``startup``      the order of a start, and when it is complete
``components``   the programs, each with its command and environment
``settings``     the environment variables of each program
``home``         the folder with all state
``config``       what was decided for one stack: project, ports, Postgres, versions
``ports``        which ports the programs listen on
``secrets``      keys and the login of Airflow
``health``       readiness and heartbeats of the running programs
``orphans``      ending what a killed supervisor left behind
``backup``       a copy of Postgres's data
``daemon``       the supervisor's process
``supervision``  keeping programs running, and finding and ending processes
``airflow_api``  a client of Airflow's REST API
===============  ====================================================================
"""
