"""Programs that pass for nginx and keepalived, say what they do, and fail when they are told to."""

import os
from pathlib import Path
from typing import Final

VIP: Final = "192.0.2.200"

_NGINX: Final = r"""#!/bin/bash
say() { echo "nginx $1" >>"$HERE/said"; }
case "$*" in *-T*) cat "$HERE/refusal" >&2; [ ! -s "$HERE/refusal" ]; exit ;; esac
say starts
[ ! -e "$HERE/nginx-fails" ] || exit 1
(exec -a "nginx: worker process" cat <>"$HERE/never") &
worker=$!
trap 'ip -oneline address show to $VIP | grep -q . && say "has the VIP still"
    say ends; kill $worker; exit 0' QUIT TERM
while [ ! -e "$HERE/nginx-ends" ]; do sleep 0.05 & wait $!; done
kill $worker
exit 1
"""

_KEEPALIVED: Final = r"""#!/bin/bash
for argument; do
    case "$argument" in --use-file=*) files=$(dirname "${argument#*=}") ;; esac
done
say() { echo "keepalived $1" >>"$HERE/said"; }
tell() { echo "INSTANCE \"VI_1\" $1 240" >"$files/notify"; }
give_up() { ip address delete $VIP/32 dev lo 2>/dev/null; }
say starts
trap 'give_up; say ends; exit 0' TERM
trap : RTMIN+2
tell BACKUP
held=no
while :; do
    touch "$files/pulse"
    read -r health <"$files/health"
    if [ "$health" = 0 ] && [ $held = no ]; then
        ip address add $VIP/32 dev lo valid_lft 3 preferred_lft 3
        tell MASTER
        held=yes
    elif [ "$health" = 1 ] && [ $held = yes ]; then
        give_up
        tell FAULT
        held=no
    fi
    sleep 0.02 & wait $!
done
"""


class Programs:
    """A directory for the head of PATH."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.set("said")
        self.accept()
        os.mkfifo(directory / "never")
        for name, text in (("nginx", _NGINX), ("keepalived", _KEEPALIVED)):
            script = directory / name
            here = text.replace("$HERE", str(directory)).replace("$VIP", VIP)
            script.write_text(here)
            script.chmod(0o755)

    @property
    def said(self) -> list[str]:
        """What they have done so far, in that order."""
        return (self.directory / "said").read_text().splitlines()

    def set(self, name: str, text: str = "") -> None:
        """Give them a word: `nginx-fails`, `nginx-ends`."""
        (self.directory / name).write_text(text)

    def accept(self) -> None:
        """Let `nginx -T` accept every configuration."""
        self.set("refusal")

    def refuse(self, why: str) -> None:
        """Let it refuse every one."""
        self.set("refusal", f"nginx: {why}\n")

    def left(self) -> list[str]:
        """Return the command lines of those that still run."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(self.directory) in words or words.startswith("nginx: worker"):
                found.append(words)
        return found
