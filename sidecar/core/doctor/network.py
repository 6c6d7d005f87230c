"""Checks of the host's network and of what is on the wire."""

from collections.abc import Iterator, Sequence
from functools import partial
from ipaddress import ip_interface
from typing import Final

from sidecar.core.doctor.facts import Facts, LocalAddress
from sidecar.core.doctor.finding import Finding, Verdict, found

GROUP: Final = "network"


_found = partial(found, GROUP)


def _own(facts: Facts) -> LocalAddress | None:
    return next((one for one in facts.addresses or () if one.address == str(facts.own)), None)


def _peers(facts: Facts) -> list[str]:
    return [str(node) for node in facts.settings.nodes if node != facts.own]


def identity(facts: Facts) -> Iterator[Finding]:
    """Check that one of HA_NODES is here, fixed, on an interface that is up."""
    if facts.addresses is None:
        yield _found("address", Verdict.UNKNOWN, "the addresses of this host cannot be read")
        return
    if (own := _own(facts)) is None:
        fix = "set network_mode: host, correct HA_NODES, or set HA_NODE if this host has several"
        yield _found(
            "address", Verdict.PROBLEM, "this host does not have exactly one of HA_NODES", fix
        )
        return
    where = f"{own.address}/{own.prefix} on {own.interface}"
    if not own.up:
        yield _found("address", Verdict.PROBLEM, f"{where}, which is down", "check the cable")
    elif own.dynamic:
        fix = "give this host a fixed address: keepalived and the peers rely on it"
        yield _found("address", Verdict.WARNING, f"{where} comes from DHCP", fix)
    else:
        yield _found("address", Verdict.OK, where)
    if facts.settings.interface not in {None, own.interface}:
        text = f"HA_INTERFACE is {facts.settings.interface}, the address is on {own.interface}"
        yield _found("interface", Verdict.WARNING, text, "leave HA_INTERFACE unset if in doubt")


def managers(facts: Facts) -> Iterator[Finding]:
    """Tell what else manages the interfaces: it may take away what it does not know."""
    if facts.managers:
        text = f"{' and '.join(facts.managers)}: if it removes the VIP, the VIP is back within 1 s"
        yield _found("manager", Verdict.OK, text)
    else:
        yield _found("manager", Verdict.OK, "no service found that is known to remove addresses")


def subnet(facts: Facts) -> Iterator[Finding]:
    """Check that each VIP lies in a network that this host's interface has."""
    if (own := _own(facts)) is None:
        yield _found("subnet", Verdict.UNKNOWN, "the address of this host is unknown")
        return
    vips = {str(vip.ip) for vip in facts.settings.vips}
    networks = {
        ip_interface(f"{one.address}/{one.prefix}").network
        for one in facts.addresses or ()
        if one.interface == own.interface and one.address not in vips
    }
    for vip in facts.settings.vips:
        if vip.ip == facts.own or str(vip.ip) in _peers(facts):
            fix = "choose an address that no host has"
            yield _found("subnet", Verdict.PROBLEM, f"{vip.ip} is a node's own address", fix)
        elif any(vip.ip in network for network in networks):
            yield _found("subnet", Verdict.OK, f"{vip.ip} is in a network of {own.interface}")
        else:
            fix = "choose an address in that network, or route this one to the hosts"
            text = f"{vip.ip} is in no network of {own.interface}: clients may not find it"
            yield _found("subnet", Verdict.WARNING, text, fix)


def strangers(facts: Facts) -> Iterator[Finding]:
    """Check that nobody but a node answers for a VIP."""
    peers = {mac: peer for peer in _peers(facts) for mac in facts.answers.get(peer, ())}
    held = facts.report.node.vips if facts.report is not None else ()
    for vip in facts.settings.vips:
        address = str(vip.ip)
        if address not in facts.answers:
            yield _found("VIP", Verdict.UNKNOWN, f"who answers for {address}")
            continue
        macs = facts.answers[address]
        others = [mac for mac in macs if mac not in peers]
        if others:
            text = f"{', '.join(others)} answers for {address}, and is none of the nodes"
            yield _found("VIP", Verdict.PROBLEM, text, "find that device, or choose another VIP")
        elif macs and address in held:
            text = f"{peers[macs[0]]} answers for {address}, which this node holds"
            fix = f"unless both are MASTER, remove it there: ip address delete {vip} dev INTERFACE"
            yield _found("VIP", Verdict.PROBLEM, text, fix)
        elif macs:
            yield _found("VIP", Verdict.OK, f"{address} is answered by {peers[macs[0]]}")
        elif address in held:
            yield _found(
                "VIP", Verdict.OK, f"{address} is on this node, and no other host answers for it"
            )
        else:
            yield _found("VIP", Verdict.OK, f"no host answers for {address}")


def router_ids(facts: Facts) -> Iterator[Finding]:
    """Check that no other VRRP router of this network uses our VRID."""
    if facts.adverts is None:
        yield _found("VRID", Verdict.UNKNOWN, "cannot listen for VRRP")
        return
    own, peers = facts.settings.vrid, _peers(facts)
    strange = {one.source: one.vrid for one in facts.adverts if one.source not in peers}
    if users := [source for source, vrid in strange.items() if vrid == own]:
        text = f"{', '.join(users)} also uses {own}"
        yield _found("VRID", Verdict.PROBLEM, text, "set HA_VRID to an unused number")
    else:
        others = ", ".join(f"{vrid} ({source})" for source, vrid in strange.items())
        heard = f"; also on this network: {others}" if others else ""
        yield _found("VRID", Verdict.OK, f"no other router uses {own}{heard}")


def adverts(facts: Facts) -> Iterator[Finding]:
    """Check that VRRP (IP protocol 112) passes between the nodes, in both directions."""
    report = facts.report
    peers = [one for one in report.peers if one.linked and one.state] if report is not None else []
    if report is None or not peers:
        yield _found("VRRP", Verdict.UNKNOWN, "needs a running node with a link to another one")
        return
    own = report.node.node
    for peer in peers:
        told = peer.details.vrrp_heard if peer.details is not None else None
        yield _direction(own, peer.node, told)
        yield _direction(peer.node, own, report.vrrp_heard)


def _direction(source: str, target: str, heard: Sequence[str] | None) -> Finding:
    """Return whether what one node sends arrives at the other, which has `heard` these."""
    way = f"from {source} to {target}"
    if heard is None:
        return _found("VRRP", Verdict.UNKNOWN, f"{way}: {target} cannot tell yet")
    if source in heard:
        return _found("VRRP", Verdict.OK, f"passes {way}")
    fix = f"let IP protocol 112 pass {way}: in the firewalls of both hosts, and between them"
    return _found("VRRP", Verdict.PROBLEM, f"is blocked {way}", fix)


def gateway(facts: Facts) -> Iterator[Finding]:
    """Check that there is a way out of this network, and that it answers."""
    checks = facts.report.checks if facts.report is not None else ()
    answer = next((check for check in checks if check.name == "gateway"), None)
    if not facts.gateways:
        text = "there is no default route"
        yield _found(
            "gateway", Verdict.WARNING, text, "if this network has a router, add the route"
        )
    elif answer is None or answer.up is None:
        yield _found("gateway", Verdict.UNKNOWN, f"whether {', '.join(facts.gateways)} answers")
    elif answer.up:
        yield _found("gateway", Verdict.OK, f"{', '.join(facts.gateways)} answers")
    else:
        yield _found("gateway", Verdict.WARNING, answer.message, "check the cable and the router")


def names(facts: Facts) -> Iterator[Finding]:
    """Check that names in the settings can be resolved."""
    for name, resolved in facts.names.items():
        if resolved:
            yield _found("DNS", Verdict.OK, f"{name} resolves")
        else:
            fix = "correct the name or /etc/resolv.conf, or use an IP address"
            yield _found("DNS", Verdict.WARNING, f"{name} does not resolve here", fix)
