"""Programs that keep directories the same, on two plain hosts with sshd.

Each gets what makes it faster than it would be by itself: an ssh connection that is kept, and a
file counts as soon as it lies on the peer's disk, tested and loaded by nobody.
"""

import secrets
from dataclasses import dataclass
from typing import Final

from tests.bench import work
from tests.cluster import images
from tests.cluster.cluster import Cluster
from tests.cluster.host import run
from tests.cluster.node import Node, Plan
from tests.cluster.wait import until
from tests.cluster.world import World

LOG: Final = "/tmp/program.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One of them; a script has the first node's address as $1, the second one's as $2."""

    name: str
    script: str
    """Runs on the first node until the end."""
    server: str = ""
    """Runs on the second one, as long."""
    both: str = ""
    """Runs before, on both."""


_LSYNCD: Final = """
cat >/etc/lsyncd.lua <<END
settings {{ nodaemon = true, insist = true }}
sync {{ default.rsync, {options}source = "/etc/nginx", target = "root@$2:/etc/nginx" }}
END
exec lsyncd /etc/lsyncd.lua
"""
_UNISON: Final = "exec unison /etc/nginx ssh://root@$2//etc/nginx -batch -ui text -repeat "
_CSYNC2: Final = f"""
echo {secrets.token_hex(32)} >/etc/csync2.key
cat >/etc/csync2.cfg <<END
nossl * *;
group both {{ host node-a node-b; key /etc/csync2.key; include /etc/nginx; auto younger; }}
END
printf '%s node-a\\n%s node-b\\n' "$1" "$2" >>/etc/hosts
"""
_LOOP: Final = "while :; do {command}; sleep 1; done"

PROGRAMS: Final = (
    Program(name="lsyncd", script=_LSYNCD.format(options="")),
    Program(name="lsyncd, delay = 1", script=_LSYNCD.format(options="delay = 1, ")),
    Program(name="unison -repeat watch", script=f"{_UNISON}watch"),
    Program(name="unison -repeat 1", script=f"{_UNISON}1"),
    Program(
        name="csync2 -xr, each second",
        script=_LOOP.format(command="csync2 -N node-a -xr"),
        server="exec csync2 -N node-b -ii",
        both=_CSYNC2,
    ),
    Program(
        name="rsync -a, each second",
        script=_LOOP.format(command='rsync -a /etc/nginx/ "root@$2:/etc/nginx/"'),
    ),
)

_SSHD: Final = """
ssh-keygen -q -A; mkdir -p /run/sshd /root/.ssh; chmod 700 /root/.ssh
/usr/sbin/sshd -o UsePAM=no
"""
_CLIENT: Final = """
cat >/root/.ssh/config <<END
Host *
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    LogLevel ERROR
    ControlMaster auto
    ControlPath /run/ssh-%C
    ControlPersist 600
END
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
cat /root/.ssh/id_ed25519.pub
"""


def plain(world: World) -> Cluster:
    """Start two hosts that have sshd; the first may log in to the second, and is."""
    service = {
        "image": images.TEST,
        "entrypoint": ["tini", "-g", "--", "sleep", "infinity"],
        "command": [],
        "healthcheck": {"disable": True},
        "read_only": False,
    }
    pair = world.cluster(Plan(service=service, files={work.FILE: ""}))
    pair.up()
    for node in pair.nodes:
        run(node.name, "sh", "-euc", _SSHD)
    key = run(pair.a.name, "sh", "-euc", _CLIENT).stdout
    run(pair.b.name, "sh", "-euc", 'echo "$1" >/root/.ssh/authorized_keys', "sh", key)
    login = ("sh", "-c", 'ssh -n "root@$1" true >/dev/null 2>&1', "sh", pair.b.address)
    until("ssh works", lambda: run(pair.a.name, *login, check=False).returncode == 0)
    return pair


def start(program: Program, pair: Cluster) -> None:
    """Let a program work."""
    addresses = (pair.a.address, pair.b.address)
    for node in pair.nodes:
        run(node.name, "sh", "-euc", program.both or ":", "sh", *addresses)
    for node, script in ((pair.b, program.server), (pair.a, program.script)):
        detach = f'setsid sh -c "$0" sh "$@" >{LOG} 2>&1 </dev/null &'
        run(node.name, "sh", "-c", detach, script or ":", *addresses)


def last_words(node: Node) -> str:
    """Return the last line that the program has printed on a node."""
    lines = run(node.name, "cat", LOG, check=False).stdout.split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no word")
