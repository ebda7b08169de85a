#!/bin/sh
# Creates both databases and brings their schema to the version of this admin-tools image. Every step may run again: `create`
# finds the database, `setup-schema` finds its version table, `update-schema` applies what is newer. An upgrade of the server is
# this job with the new image, before the new server starts.
set -eu
: "${POSTGRES_SEEDS:?the host of PostgreSQL}" "${POSTGRES_USER:?its user}" "${SQL_PASSWORD:?its password, from SQL_PASSWORD_FILE}"
schemas=/etc/temporal/schema/postgresql/v12

tool() {
    database=$1
    shift
    # The password travels as SQL_PASSWORD: on the command line every process of the container could read it.
    temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_SEEDS" --port "${DB_PORT:-5432}" --user "$POSTGRES_USER" --db "$database" "$@"
}

for pair in temporal:temporal temporal_visibility:visibility; do
    database=${pair%%:*}
    folder=${pair##*:}
    tool "$database" create
    tool "$database" setup-schema --version 0.0
    tool "$database" update-schema --schema-dir "$schemas/$folder/versioned"
done
echo "schema ready"
