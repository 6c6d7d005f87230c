"""What the demo shows of sync: a site that spreads, and a mistake that does not."""

from textwrap import indent
from typing import Final

from tests.cluster.cluster import Cluster
from tests.cluster.host import CUT, now, run
from tests.cluster.node import Node
from tests.cluster.wait import until
from tests.cluster.world import World
from tests.demo.say import say

HOST: Final = "hello.test"
FILE: Final = "conf.d/hello.conf"

_SITE: Final = """\
server {{
    listen 80;
    server_name {host};
    location / {{ default_type text/plain; return 200 "{text}\\n"; }}
}}
"""


def site(text: str, host: str = HOST) -> str:
    """Return the configuration of a site that answers with a text."""
    return _SITE.format(host=host, text=text)


def show_site_spreads(world: World, cluster: Cluster) -> None:
    """Write a site on the BACKUP's disk and ask the virtual IP, which the MASTER has, for it."""
    maker, peer = cluster.backup, cluster.master
    took = _edit(maker, peer, "Hello")
    answer = run(
        world.client.container,
        *("curl", "--silent", "--header", f"Host: {HOST}", f"http://{cluster.vip}/"),
    ).stdout
    say(f"5. A site was written on the disk of {maker.address}, the BACKUP:")
    say(f"   {maker.directory}/nginx/{FILE}")
    say(f"   {took:.1f} s later the MASTER, {peer.address}, serves it too. Two of them were the")
    say("   soak: it had to serve well where it was made. Through the virtual IP:\n")
    say(f"       {answer.strip()}\n")


def show_mistake_stays(cluster: Cluster) -> None:
    """Break that site, show who serves what and what is said of it, and correct it."""
    maker, peer = cluster.backup, cluster.master
    broken = site("Hello").replace("return", "retrun")
    maker.folder.write(FILE, broken)
    said = until("the mistake is told", lambda: _mistake(maker))
    answers = {node.address: node.fetch(HOST).strip() for node in (peer, maker)}
    untouched = "retrun" not in peer.folder.read(FILE)
    assert untouched, "the mistake has reached the peer"
    say(f"6. That file has a mistake now, on {maker.address}. `ha status` there says:\n")
    say(f"{indent(said, '       ')}\n")
    say("   It went nowhere, and both go on serving what was good:\n")
    say("".join(f"       {address}: {answer}\n" for address, answer in answers.items()))
    took = _edit(maker, peer, "Hello again")
    say(f"7. The mistake is corrected, and {took:.1f} s later both serve the new site.\n")


def show_merge(cluster: Cluster) -> None:
    """Edit both nodes while they cannot talk, and show that both serve both."""
    cluster.b.host.drop(*CUT)
    cluster.wait_linked(linked=False)
    edits = ((cluster.a, "one.test"), (cluster.b, "two.test"))
    for node, host in edits:
        node.folder.write(f"conf.d/{host}.conf", site(host, host))
        _wait_served(node, host)
    cluster.b.host.heal()
    begun = now()
    for node in cluster.nodes:
        for _, host in edits:
            _wait_served(node, host)
    say("8. The nodes could not talk for a while, and each got a new site. They can again, and")
    say(f"   {now() - begun:.1f} s later both serve both:\n")
    lines = cluster.a.ha("history").stdout.splitlines()[:4]
    say(f"{indent(chr(10).join(lines), '       ')}\n")


def _wait_served(node: Node, host: str) -> None:
    until(f"{node} serves {host}", lambda: node.fetch(host).strip(), lambda said: said == host)


def _edit(maker: Node, peer: Node, text: str) -> float:
    """Let the site say a text; return the seconds until the peer's own nginx says it."""
    begun = now()
    maker.folder.write(FILE, site(text))
    until(f"{peer} serves {text}", lambda: peer.fetch(HOST).strip(), lambda said: said == text)
    return now() - begun


def _mistake(node: Node) -> str:
    """Return what `ha status` says of the mistake, or nothing yet."""
    told = node.ha("status").stdout.partition("PROBLEMS\n")[2]
    return told.strip() if "retrun" in told else ""
