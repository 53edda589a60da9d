#!/bin/sh
# Runs the shared server and ends it when no test needs it: when ten times in a row, once a second, nobody
# holds the lock. Whoever wants to use the server meanwhile waits for the lock until this has ended.
# Says `ready` when the server takes connections.
#
# usage: supervise.sh FOLDER LOCK COMMAND…
folder=$1
lock=$2
shift 2
"$@" >>"$folder/log" 2>&1 &
server=$!
trap 'kill -INT "$server"' TERM INT HUP
until grep -q 'ready to accept connections' "$folder/log"; do
    kill -0 "$server" 2>/dev/null || exit 1
    sleep 0.02
done
echo ready
exec >/dev/null 9>>"$lock"
free=0
while sleep 1 && kill -0 "$server" 2>/dev/null; do
    if flock -n -x 9; then
        free=$((free + 1))
        if [ "$free" -ge 10 ]; then
            kill -INT "$server"
            break
        fi
        flock -u 9
    else
        free=0
    fi
done
wait "$server"
rm -rf "$folder" "$lock"
