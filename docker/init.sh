#!/bin/sh
# Runs once before the services: migrates the schemas and creates the first user.
set -eu
airflow db migrate
mlflow db upgrade "$MLFLOW_BACKEND_STORE_URI"
tidemill migrate
if ! airflow users list --output plain | grep -qw admin; then
    # The command asks for the password twice. It comes from the file, because others could read an argument.
    { cat /run/secrets/admin_password /run/secrets/admin_password; } |
        airflow users create --username admin --role Admin --firstname Ada --lastname Admin --email admin@localhost
fi
