"""Each check of `ha doctor` with facts that it likes and facts that it does not."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from sidecar.core.doctor import container, network, pair
from sidecar.core.doctor.examine import CHECKS, examine
from sidecar.core.doctor.facts import Facts, HeardAdvert, LocalAddress, Place
from sidecar.core.doctor.finding import Finding, Verdict, findings_text, summary
from sidecar.core.report import CheckReport, Details, PeerReport, Problem, Report, Role, Severity
from sidecar.core.show.present import PLAIN, Style
from tests.unit.reports import BACKUP, FULL, MASTER
from tests.unit.settings.example import load_with

A, B, VIP = "192.0.2.11", "192.0.2.12", "192.0.2.10"
MAC, OTHER = "02:00:00:00:00:0c", "02:00:00:00:00:99"
SETTINGS = load_with(HA_NODES=f"{A},{B}", HA_VIP=VIP, HA_VRID="10").settings
PLACE = Place(path="/var/lib/ha", writable=True, volatile=False, size=100 * 2**20, free=50 * 2**20)
LOCAL = LocalAddress(address=A, prefix=24, interface="eth0", up=True, dynamic=False)
DETAILS = Details(started=0.0, settings={"HA_SITES": "1", "HA_VIP": "2"}, vrrp_heard=(A,))
PEER = PeerReport(node=B, linked=True, state=BACKUP, age=0.1, clock_skew=0.1, details=DETAILS)
GATEWAY = CheckReport(name="gateway", up=True, hard=False)
REPORT = replace(
    FULL,
    node=MASTER,
    peers=(PEER,),
    problems=(),
    checks=(GATEWAY,),
    polled=(),
    vrrp_heard=(B,),
)
SERVING = replace(BACKUP, role=Role.MASTER, vips=(VIP,))
STANDBY = replace(
    REPORT,
    node=replace(MASTER, role=Role.BACKUP, vips=()),
    peers=(replace(PEER, state=SERVING),),
)
BAD_LINK = PeerReport(node=B, linked=False)

GOOD = Facts(
    settings=SETTINGS,
    own=ip_address(A),
    report=REPORT,
    missing=(),
    remapped=False,
    real_time=True,
    places=(PLACE, replace(PLACE, path="/run", volatile=True)),
    single_files=(),
    instances=1024,
    addresses=(LOCAL, replace(LOCAL, address=VIP, prefix=32)),
    gateways=("192.0.2.1",),
    managers=(),
    answers={VIP: (), B: (MAC,)},
    adverts=(HeardAdvert(source=B, vrid=10),),
    knocks={B: ""},
    names={"app.test": True},
    ports={},
    configuration=(),
    digests={"HA_SITES": "1", "HA_VIP": "2"},
)
WARNING, PROBLEM, OK, UNKNOWN = Verdict.WARNING, Verdict.PROBLEM, Verdict.OK, Verdict.UNKNOWN


def with_report(report: Report | None, **changes: object) -> Facts:
    return replace(GOOD, report=report, **changes)  # type: ignore[arg-type]


def with_peer(**changes: object) -> Facts:
    peer = replace(PEER, **changes)  # type: ignore[arg-type]
    return with_report(replace(REPORT, peers=(peer,)))


def test_a_host_that_is_well_has_no_problem() -> None:
    wrong = [one for one in examine(GOOD) if one.verdict in {PROBLEM, WARNING}]
    assert wrong == []


def test_every_check_says_something_of_a_host_that_is_well() -> None:
    assert all(list(check(GOOD)) for check in CHECKS)


Check = Callable[[Facts], Iterator[Finding]]
ROWS: list[tuple[Check, Facts, Verdict, str]] = [
    (container.capabilities, replace(GOOD, missing=("NET_RAW",)), PROBLEM, "lacks NET_RAW"),
    (container.capabilities, replace(GOOD, real_time=False), WARNING, "may miss adverts"),
    (container.users, replace(GOOD, remapped=True), PROBLEM, "Docker remaps users"),
    (
        container.places,
        replace(GOOD, places=(replace(PLACE, writable=False),)),
        PROBLEM,
        "is not writable",
    ),
    (
        container.places,
        replace(GOOD, places=(replace(PLACE, path="/run"),)),
        WARNING,
        "not a tmpfs",
    ),
    (container.places, replace(GOOD, places=(replace(PLACE, free=2**20),)), WARNING, "only 1 MiB"),
    (
        container.single_files,
        replace(GOOD, single_files=("/etc/nginx/nginx.conf",)),
        PROBLEM,
        "mounted as a single file",
    ),
    (
        container.watches,
        with_report(replace(REPORT, polled=("/etc/nginx",))),
        WARNING,
        "every second instead: /etc/nginx",
    ),
    (container.watches, replace(GOOD, instances=None), UNKNOWN, "cannot be read"),
    (container.watches, with_report(None, instances=128), WARNING, "128 instances"),
    (network.identity, replace(GOOD, addresses=None), UNKNOWN, "cannot be read"),
    (network.identity, replace(GOOD, own=None), PROBLEM, "exactly one of HA_NODES"),
    (network.identity, replace(GOOD, addresses=(replace(LOCAL, up=False),)), PROBLEM, "is down"),
    (
        network.identity,
        replace(GOOD, addresses=(replace(LOCAL, dynamic=True),)),
        WARNING,
        "comes from DHCP",
    ),
    (
        network.identity,
        replace(GOOD, settings=replace(SETTINGS, interface="eth1")),
        WARNING,
        "HA_INTERFACE is eth1",
    ),
    (network.managers, replace(GOOD, managers=("NetworkManager",)), OK, "NetworkManager: if it"),
    (network.subnet, replace(GOOD, own=None), UNKNOWN, "unknown"),
    (
        network.subnet,
        replace(GOOD, addresses=(replace(LOCAL, prefix=32),)),
        WARNING,
        "in no network of eth0",
    ),
    (
        network.subnet,
        replace(GOOD, settings=replace(SETTINGS, nodes=(ip_address(A), ip_address(VIP)))),
        PROBLEM,
        "a node's own address",
    ),
    (network.strangers, replace(GOOD, answers={}), UNKNOWN, "who answers"),
    (network.strangers, replace(GOOD, answers={VIP: (OTHER,), B: (MAC,)}), PROBLEM, OTHER),
    (
        network.strangers,
        replace(GOOD, answers={VIP: (MAC,), B: (MAC,)}),
        PROBLEM,
        f"{B} answers for {VIP}, which this node holds",
    ),
    (
        network.strangers,
        with_report(STANDBY, answers={VIP: (MAC,), B: (MAC,)}),
        OK,
        f"answered by {B}",
    ),
    (network.strangers, with_report(None), OK, "no host answers"),
    (network.router_ids, replace(GOOD, adverts=None), UNKNOWN, "cannot listen"),
    (
        network.router_ids,
        replace(GOOD, adverts=(HeardAdvert(source="192.0.2.99", vrid=10),)),
        PROBLEM,
        "192.0.2.99 also uses 10",
    ),
    (
        network.router_ids,
        replace(GOOD, adverts=(HeardAdvert(source="192.0.2.99", vrid=7),)),
        OK,
        "also on this network: 7 (192.0.2.99)",
    ),
    (network.adverts, with_report(None), UNKNOWN, "a running node"),
    (network.adverts, with_report(replace(REPORT, peers=(BAD_LINK,))), UNKNOWN, "a running node"),
    (network.adverts, GOOD, OK, f"passes from {A} to {B}"),
    (network.adverts, GOOD, OK, f"passes from {B} to {A}"),
    (
        network.adverts,
        with_report(replace(REPORT, vrrp_heard=())),
        PROBLEM,
        f"blocked from {B} to {A}",
    ),
    (
        network.adverts,
        with_peer(details=replace(DETAILS, vrrp_heard=())),
        PROBLEM,
        f"blocked from {A} to {B}",
    ),
    (
        network.adverts,
        with_report(replace(REPORT, vrrp_heard=None)),
        UNKNOWN,
        f"from {B} to {A}: {A} cannot tell yet",
    ),
    (network.adverts, with_peer(details=None), UNKNOWN, f"{B} cannot tell yet"),
    (network.gateway, replace(GOOD, gateways=()), WARNING, "no default route"),
    (network.gateway, with_report(None), UNKNOWN, "whether 192.0.2.1 answers"),
    (
        network.gateway,
        with_report(
            replace(REPORT, checks=(replace(GATEWAY, up=False, message="192.0.2.1 is silent"),))
        ),
        WARNING,
        "192.0.2.1 is silent",
    ),
    (network.names, replace(GOOD, names={"app.test": False}), WARNING, "does not resolve"),
    (pair.reach, replace(GOOD, knocks={B: "connection refused"}), PROBLEM, "connection refused"),
    (pair.links, with_report(None), UNKNOWN, "a running node"),
    (pair.links, with_peer(linked=False, error="no route"), PROBLEM, f"no link to {B}: no route"),
    (pair.links, with_report(replace(REPORT, peers=(BAD_LINK,))), PROBLEM, "not yet connected"),
    (
        pair.links,
        with_peer(linked=False, error="is the HA_SECRET the same?"),
        PROBLEM,
        f"differs on {B}",
    ),
    (pair.links, with_peer(clock_skew=None), UNKNOWN, f"of {B}"),
    (pair.links, with_peer(clock_skew=-0.02), OK, f"{B} has the same time, to 0.1 s"),
    (pair.links, with_peer(clock_skew=-9.0), WARNING, "differs by -9.0 s"),
    (pair.links, with_peer(state=replace(BACKUP, version="0.0.9")), WARNING, "runs 0.0.9"),
    (pair.settings, with_peer(details=None), UNKNOWN, f"of {B}"),
    (
        pair.settings,
        with_peer(details=replace(DETAILS, settings={"HA_SITES": "9", "HA_VIP": "2"})),
        WARNING,
        f"HA_SITES differs on {B}",
    ),
    (
        pair.settings,
        with_peer(details=replace(DETAILS, settings={"HA_SITES": "9", "HA_VIP": "9"})),
        WARNING,
        f"HA_SITES, HA_VIP differ on {B}",
    ),
    (pair.told, with_report(None), UNKNOWN, "no node is running"),
    (
        pair.told,
        with_report(
            replace(
                REPORT,
                problems=(
                    Problem(code="clock-skew", severity=Severity.WARNING, message="told already"),
                    Problem(code="sync-held", severity=Severity.WARNING, message="it\nwaits"),
                ),
            )
        ),
        WARNING,
        "it waits",
    ),
    (
        pair.configuration,
        replace(
            GOOD,
            configuration=(Problem(code="x", severity=Severity.ERROR, message="[emerg] no"),),
        ),
        PROBLEM,
        "[emerg] no",
    ),
    (
        pair.configuration,
        replace(GOOD, ports={"HA_HTTP_PORT 9165": ""}),
        PROBLEM,
        "another program on this host uses HA_HTTP_PORT 9165",
    ),
    (pair.configuration, replace(GOOD, ports={"HA_SYNC_PORT 8730": "sshd"}), PROBLEM, "sshd uses"),
]


@pytest.mark.parametrize(("check", "facts", "verdict", "text"), ROWS)
def test_a_check_sees_what_is_wrong_and_says_how_to_mend_it(
    check: Check, facts: Facts, verdict: Verdict, text: str
) -> None:
    found = [one for one in check(facts) if text in one.text]
    assert [one.verdict for one in found] == [verdict]
    mends = verdict in {PROBLEM, WARNING} and check not in {pair.told, pair.configuration}
    assert bool(found[0].fix) or not mends


def test_a_problem_that_a_check_tells_of_is_not_told_twice() -> None:
    problem = Problem(code="clock-skew", severity=Severity.WARNING, message="it differs")
    assert list(pair.told(with_report(replace(REPORT, problems=(problem,))))) == []


FOUND = (
    Finding(group="network", check="VIP", verdict=OK, text="nobody answers"),
    Finding(group="network", check="DNS", verdict=PROBLEM, text="is down", fix="start it"),
    Finding(group="nodes", check="clock", verdict=UNKNOWN, text="of B"),
)


def test_the_findings_are_grouped_with_what_to_do() -> None:
    assert findings_text(FOUND, PLAIN, quiet=False).splitlines() == [
        "NETWORK",
        "ok           VIP: nobody answers",
        "problem      DNS: is down",
        "             → start it",
        "",
        "NODES",
        "not checked  clock: of B",
        "",
        "1 ok, 0 warnings, 1 problem, 1 not checked",
    ]


def test_quiet_shows_only_what_wants_something_done() -> None:
    assert findings_text(FOUND, PLAIN, quiet=True).splitlines() == [
        "NETWORK",
        "problem      DNS: is down",
        "             → start it",
    ]
    assert findings_text(FOUND[:1], PLAIN, quiet=True) == ""


def test_a_terminal_gets_colours_and_lines_that_fit() -> None:
    long = replace(FOUND[1], text="is down " * 20, fix="start it " * 20)
    text = findings_text((long,), Style(color=True, width=60), quiet=False)
    assert "\x1b[31mproblem    \x1b[0m" in text
    plain = text.replace("\x1b[31m", "").replace("\x1b[0m", "").replace("\x1b[1m", "")
    assert max(map(len, plain.splitlines())) <= 60


def test_the_sum_names_each_kind() -> None:
    assert summary(()) == "0 ok, 0 warnings, 0 problems, 0 not checked"
