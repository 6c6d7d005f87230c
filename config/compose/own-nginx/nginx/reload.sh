#!/bin/sh
# Has the nginx of the other container reload; fails with its words if it refuses.
set -eu
rm -f /calls/done /calls/refused
touch /calls/reload
for _ in $(seq 100); do
    [ ! -e /calls/done ] || exit 0
    if [ -e /calls/refused ]; then
        grep emerg /calls/words >&2 || cat /calls/words >&2
        exit 1
    fi
    sleep 0.1
done
echo "the container nginx does not answer" >&2
exit 1
