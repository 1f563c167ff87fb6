#!/bin/sh
# Creates the missing secrets of the compose profile in secrets/, a folder that only you can enter. Needs only a shell.
# Existing files stay unchanged: a running database would not know a new password.
set -eu
cd "$(dirname "$0")/.."
mkdir -p secrets
chmod 700 secrets
cd secrets

random() { # COUNT: random bytes in hexadecimal
    od -An -v -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

make_secret() { # NAME VALUE; readable for the container's user, who has another number; the folder protects it here
    [ -e "$1" ] || { printf '%s\n' "$2" >".$1" && chmod 644 ".$1" && mv ".$1" "$1"; }
}

make_secret postgres_password "$(random 24)"
for role in airflow mlflow; do
    make_secret "$role.pgpass" "postgres:*:$role:$role:$(random 24)"
done
for role in owner writer promoter reader; do
    make_secret "tidemill_$role.pgpass" "postgres:*:warehouse:tidemill_$role:$(random 24)"
done
make_secret admin_password "$(random 12)"
make_secret fernet_key "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
make_secret jwt_secret "$(random 64)"
make_secret secret_key "$(random 32)"
make_secret redis_password "$(random 24)"
make_secret redis.conf "requirepass $(cat redis_password)"
make_secret broker_url "redis://:$(cat redis_password)@redis:6379/0"
make_secret result_backend "redis://:$(cat redis_password)@redis:6379/1"
make_secret mlflow_password "$(random 24)"
make_secret flower_auth "admin:$(cat admin_password)"
