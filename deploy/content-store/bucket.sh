#!/bin/sh
# Makes the bucket of the content store where there is none. `weed shell` leaves with 0 whatever happened, so the list decides.
set -eu
: "${MASTER:?host:port of the store}" "${BUCKET:?the bucket}"
tries=0
until echo s3.bucket.list | weed shell -master="$MASTER" 2>/dev/null | grep -q "$BUCKET"; do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || { echo "bucket $BUCKET could not be made at $MASTER" >&2; exit 1; }
    echo "s3.bucket.create -name $BUCKET" | weed shell -master="$MASTER" >/dev/null 2>&1 || true
    sleep 1
done
echo "bucket $BUCKET ready"
