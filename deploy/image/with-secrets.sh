#!/bin/sh
# Runs a command with each NAME_FILE of the environment read into NAME, so that secrets stand in files and not in the compose
# file, in `docker inspect` or in a shell's history. One way for all names: our settings, TEMPORAL_API_KEY, AWS_SECRET_ACCESS_KEY.
# TEMPORAL_CONFIG_FILE, MODELS_FILE and such are files by meaning; so only the names below are read.
set -eu

for name in ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN BRAVE_API_KEY DATABASE_URL SMTP_URL PAYLOAD_KEYS TEMPORAL_API_KEY \
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AZURE_STORAGE_ACCOUNT_KEY POSTGRES_PWD SQL_PASSWORD \
    GF_SECURITY_ADMIN_PASSWORD; do
    eval "file=\${${name}_FILE:-}"
    [ -n "$file" ] || continue
    if [ ! -r "$file" ]; then
        echo "${name}_FILE=$file cannot be read: create it, and let user $(id -u) read it" >&2
        exit 2
    fi
    # $(…) drops the newline that editors put at the end of a file. An empty file leaves the name unset.
    value=$(cat "$file")
    unset "${name}_FILE"
    [ -z "$value" ] || export "$name=$value"
done
exec "$@"
