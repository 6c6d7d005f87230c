"""What `ha doctor` finds out, on a network of this container's own."""

import asyncio
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest

from sidecar.core.doctor.examine import examine
from sidecar.core.doctor.facts import Facts, HeardAdvert
from sidecar.core.doctor.finding import Verdict
from sidecar.doctor import machine
from sidecar.doctor.gather import gather
from sidecar.doctor.wire import knock, resolves, who_has, who_has_v6
from sidecar.host.adverts import VRRP
from sidecar.host.paths import Paths
from tests.unit.settings.example import load_with

OWN, PEER, VIP = "198.51.100.11", "198.51.100.12", "198.51.100.10"
OWN_6, VIP_6, NOBODY_6 = "2001:db8::11", "2001:db8::10", "2001:db8::99"
SPEAKER, NOBODY = "198.51.100.98", "198.51.100.99"
NEAR, FAR = "doctor0", "doctor1"
FAR_MAC = "02:00:00:00:00:0c"


@pytest.fixture(autouse=True)
def wire() -> Iterator[None]:
    """A cable: this node at its one end, at the other somebody who has the VIP."""
    lines = (
        f"link add {NEAR} type veth peer name {FAR} address {FAR_MAC}",
        f"link set {NEAR} up",
        f"link set {FAR} up",
        f"address add {OWN}/24 dev {NEAR}",
        f"address add {VIP}/32 dev {FAR}",
        f"address add {SPEAKER}/32 dev {FAR}",
        f"address add {OWN_6}/64 dev {NEAR} nodad",
        f"address add {VIP_6}/128 dev {FAR} nodad",
    )
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    yield
    subprocess.run(["ip", "link", "delete", NEAR], check=True)


@pytest.fixture
def settings_of(tmp_path: Path) -> Paths:
    return Paths(run=tmp_path, state=tmp_path)


async def found(paths: Paths, **variables: str) -> Facts:
    given = {"HA_NODES": f"{OWN},{PEER}", "HA_VIP": VIP, "HA_VRID": "77", **variables}
    loaded = load_with(**given)
    return await gather(loaded.settings, paths, report=None, configuration=())


def test_who_answers_for_an_address_is_known_by_its_mac() -> None:
    asked = [IPv4Address(VIP), IPv4Address(NOBODY)]
    assert who_has(asked, NEAR, 0.5) == {VIP: (FAR_MAC,), NOBODY: ()}


def test_who_answers_for_an_ipv6_address_is_known_by_its_mac() -> None:
    asked = [IPv6Address(VIP_6), IPv6Address(NOBODY_6)]
    assert who_has_v6(asked, NEAR, 0.5) == {VIP_6: (FAR_MAC,), NOBODY_6: ()}


def test_on_an_interface_without_ipv6_nobody_can_be_asked() -> None:
    subprocess.run(["ip", "-6", "address", "flush", "dev", NEAR], check=True)
    with pytest.raises(OSError, match=r"Cannot assign|unreachable"):
        who_has_v6([IPv6Address(VIP_6)], NEAR, 0.5)


async def test_a_stranger_who_has_an_ipv6_vip_is_a_problem(settings_of: Paths) -> None:
    facts = await found(settings_of, HA_VIP=f"{VIP},{VIP_6}")
    problems = [one.text for one in examine(facts) if one.verdict is Verdict.PROBLEM]
    assert f"{FAR_MAC} answers for {VIP_6}, and is none of the nodes" in problems


async def test_a_stranger_on_the_wire_is_a_problem(settings_of: Paths) -> None:
    facts = await found(settings_of)
    assert facts.own == ip_address(OWN)
    problems = {one.check: one.text for one in examine(facts) if one.verdict is Verdict.PROBLEM}
    assert FAR_MAC in problems["VIP"]
    assert PEER in problems["sync port"]


async def test_the_vrid_of_a_stranger_is_heard(settings_of: Paths) -> None:
    advert = bytes([0x31, 77, 100, 1, 0, 3, 0, 0])

    async def advertise() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP) as sender:
            sender.bind((SPEAKER, 0))
            while True:
                sender.sendto(advert, (OWN, 0))
                await asyncio.sleep(0.1)

    speaking = asyncio.create_task(advertise())
    facts = await found(settings_of)
    speaking.cancel()
    assert facts.adverts == (HeardAdvert(source=SPEAKER, vrid=77),)


async def test_a_port_that_another_program_has_is_named(settings_of: Paths) -> None:
    with socket.create_server((OWN, 9165)):
        facts = await found(settings_of)
    assert list(facts.ports) == ["HA_HTTP_PORT 9165"]


async def test_a_knock_says_why_nobody_opens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert await knock("127.0.0.1", port, 1) == ""
    assert await knock("127.0.0.1", port, 1) == "connection refused"
    assert await knock("198.51.100.77", 1, 0.2)


async def test_names_are_resolved_or_not() -> None:
    assert await resolves("localhost", 2)
    assert not await resolves("nowhere.invalid", 2)
    assert not await resolves("x" * 300, 2)


def test_a_directory_is_judged_by_what_can_be_done_there(tmp_path: Path) -> None:
    there, not_there = machine.places([tmp_path, tmp_path / "none"])
    assert (there.writable, not_there.writable) == (True, False)
    assert 0 < there.free <= there.size


def test_a_file_that_is_mounted_alone_is_found() -> None:
    # Docker mounts these two of each container.
    assert {"/etc/hosts", "/etc/resolv.conf"} <= set(machine.single_files([Path("/etc")]))
    assert list(machine.single_files([Path("/usr")])) == []
