#!/bin/sh
# Creates the namespace and registers the search attributes that our workflows write; it may run again at any time.
# A workflow that writes an attribute that is not registered fails its task and waits, so workers start after this.
set -eu
: "${TEMPORAL_ADDRESS:?host:port of Temporal}" "${TEMPORAL_NAMESPACE:?the namespace}"
retention=${NAMESPACE_RETENTION:-720h}

# A server that has just opened its port refuses work for some seconds.
tries=0
until temporal operator cluster health >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -ge 60 ]; then
        echo "no healthy Temporal server at $TEMPORAL_ADDRESS after $tries tries" >&2
        exit 1
    fi
    sleep 2
done

if ! temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$retention"
fi

# A new namespace reaches every part of the server only after its caches are read anew (10 s).
tries=0
until registered=$(temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE" 2>/dev/null); do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || { echo "namespace $TEMPORAL_NAMESPACE does not answer" >&2; exit 1; }
    sleep 2
done

for pair in AgentPattern:Keyword AgentState:Keyword PendingGate:Keyword GateDeadline:Datetime CostUsd:Double; do
    name=${pair%%:*}
    type=${pair##*:}
    # Two lookups: one that is there already must have the type we write, because a type cannot be changed.
    if echo "$registered" | grep -Eq "(^|[[:space:]])$name([[:space:]]|\$)"; then
        echo "$registered" | grep -Eq "(^|[[:space:]])$name[[:space:]]+$type([[:space:]]|\$)" || {
            echo "search attribute $name is registered with another type than $type: remove or rename it first" >&2
            exit 1
        }
    else
        temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" --name "$name" --type "$type"
    fi
done
echo "namespace $TEMPORAL_NAMESPACE ready"
