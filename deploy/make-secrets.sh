#!/bin/sh
# Writes the secrets that docker-compose.yml mounts, each where there is none yet; the key of the Claude API is yours to fill in,
# and so are keys to encrypt messages with, if you want that.
#     deploy/make-secrets.sh secrets
# Compose mounts a file with the owner and mode that it has on the host, and each container has another user, so the
# files are readable by all and the folder is closed to all but you.
set -eu
folder=${1:?the folder for the secrets}
mkdir -p "$folder"
chmod 700 "$folder"
for name in postgres_password content_store_key content_store_secret grafana_admin_password; do
    [ -s "$folder/$name" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$folder/$name"
done
for name in anthropic_api_key payload_keys; do
    [ -e "$folder/$name" ] || : >"$folder/$name"
done
chmod 644 "$folder"/*
echo "secrets in $folder; put the key of the Claude API into $folder/anthropic_api_key"
