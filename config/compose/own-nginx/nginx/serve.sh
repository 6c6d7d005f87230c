#!/bin/sh
# Runs nginx, and reloads it when reload.sh calls.
set -eu
rm -f /calls/*
{
    while sleep 0.5; do
        [ -e /calls/reload ] || continue
        rm /calls/reload
        if nginx -t >/calls/words 2>&1 && nginx -s reload; then
            touch /calls/done
        else
            touch /calls/refused
        fi
    done
} &
exec nginx -g "daemon off;"
