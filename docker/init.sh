#!/bin/sh
# Runs before the services and ends: schemas brought up to date, and a first user.
set -eu
airflow db migrate
mlflow db upgrade "$MLFLOW_BACKEND_STORE_URI"
tidemill migrate
if ! airflow users list --output plain | grep -qw admin; then
    # The password is asked for twice, and comes from the file: an argument could be read by others.
    { cat /run/secrets/admin_password /run/secrets/admin_password; } |
        airflow users create --username admin --role Admin --firstname Ada --lastname Admin --email admin@localhost
fi
