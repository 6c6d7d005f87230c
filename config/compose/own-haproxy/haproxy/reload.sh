#!/bin/sh
# Has HAProxy reload; fails if it refuses. Since 2.7 the master answers once it is done.
set -eu
answer=$(echo reload | socat -t 10 - UNIX-CONNECT:/calls/master.sock)
case $answer in
    Success=0*)
        # The first one says what is wrong.
        echo "$answer" | grep -m 1 ALERT >&2 || echo "$answer" >&2
        exit 1
        ;;
esac
