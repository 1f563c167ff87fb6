#!/bin/sh
# Runs before every service: libpq accepts a password file only if nobody else can read it, so this makes private copies of
# the service's password files.
set -eu
umask 077
for file in /run/secrets/*.pgpass; do
    [ -e "$file" ] && cp "$file" /run/tidemill/
done
exec "$@"
