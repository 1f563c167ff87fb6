#!/bin/bash
# Runs once, when Postgres creates its data folder: creates three databases and one role per purpose, with minimal rights.
# The migrations create tables and grant access to them.
set -euo pipefail

make_role() { # ROLE DATABASE OPTIONS
    psql --quiet --username "$POSTGRES_USER" --set ON_ERROR_STOP=1 --set role="$1" --set database="$2" \
        --set word="$(cut -d: -f5 "/run/secrets/$1.pgpass")" <<-SQL
		SET log_statement = 'none';
		CREATE ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB $3 PASSWORD :'word';
	SQL
}

make_database() { # DATABASE OWNER
    psql --quiet --username "$POSTGRES_USER" --set ON_ERROR_STOP=1 --set database="$1" --set owner="$2" <<-'SQL'
		CREATE DATABASE :"database" OWNER :"owner" TEMPLATE template0
		    ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C';
		REVOKE CONNECT, TEMPORARY ON DATABASE :"database" FROM PUBLIC;
	SQL
}

grant() { # DATABASE ROLE
    psql --quiet --username "$POSTGRES_USER" --set ON_ERROR_STOP=1 --set database="$1" --set role="$2" <<-'SQL'
		GRANT CONNECT, TEMPORARY ON DATABASE :"database" TO :"role";
	SQL
}

make_role airflow airflow NOCREATEROLE
make_role mlflow mlflow NOCREATEROLE
make_role tidemill_owner warehouse CREATEROLE
for role in writer promoter reader; do
    make_role "tidemill_$role" warehouse NOCREATEROLE
done
make_database airflow airflow
make_database mlflow mlflow
make_database warehouse tidemill_owner
grant airflow airflow
grant mlflow mlflow
for role in owner writer promoter reader; do
    grant warehouse "tidemill_$role"
done
psql --quiet --username "$POSTGRES_USER" --command 'REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC'
