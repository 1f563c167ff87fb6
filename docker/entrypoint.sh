#!/bin/sh
# Runs before every service: libpq takes a password file only if nobody else can read it, so each gets a private copy
# of those that its service was given.
set -eu
umask 077
for file in /run/secrets/*.pgpass; do
    [ -e "$file" ] && cp "$file" /run/tidemill/
done
exec "$@"
