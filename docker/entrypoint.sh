#!/bin/sh
# Runs before every service: libpq accepts a password file only if nobody else can read it, so this makes private copies of
# the service's password files. MLflow's programs read their password from the environment only.
set -eu
umask 077
for file in /run/secrets/*.pgpass; do
    [ -e "$file" ] && cp "$file" /run/tidemill/
done
if [ -e /run/secrets/mlflow_password ]; then
    MLFLOW_TRACKING_PASSWORD=$(cat /run/secrets/mlflow_password)
    export MLFLOW_TRACKING_PASSWORD
fi
exec "$@"
