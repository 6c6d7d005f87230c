"""What keepalived is given and what is read from it."""

import ipaddress
from pathlib import Path

import pytest

from sidecar.core.report import Role
from sidecar.core.settings import Identity
from sidecar.errors import ProgramError
from sidecar.host.paths import Paths
from sidecar.programs import keepalived
from tests.unit.settings.example import load_with

CONFIG = Path(__file__).parents[3] / "config"

DUMP = """[{"data":{"iname":"VI_1","ifp_ifname":"eth0","last_transition":1795439001.036271,
"garp_delay":5,"vrid":10,"base_priority":240,"effective_priority":140,"state":2,
"vips":["192.0.2.10 dev eth0 scope global set"]},
"stats":{"advert_rcvd":34,"advert_sent":1665,"become_master":1,"release_master":0,
"packet_len_err":0,"advert_interval_err":0,"ip_ttl_err":0,"invalid_type_rcvd":0,"addr_list_err":0,
"invalid_authtype":0,"authtype_mismatch":0,"auth_failure":0,"pri_zero_rcvd":3,"pri_zero_sent":2}}]"""


@pytest.mark.parametrize(
    ("line", "role"),
    [
        ('INSTANCE "VI_1" MASTER 240', Role.MASTER),
        ('INSTANCE "VI_1" BACKUP 239', Role.BACKUP),
        ('INSTANCE "VI_1" FAULT 240', Role.FAULT),
        ('INSTANCE "VI_1" STOP 240', Role.INIT),
        ('INSTANCE "VI_1" MASTER_RX_LOWER_PRI 240', None),
        ('GROUP "VG_1" MASTER 0', None),
        ("", None),
    ],
)
def test_a_fifo_line_announces_a_role_or_nothing(line: str, role: Role | None) -> None:
    assert keepalived.parse_event(line) is role


def test_a_dump_is_read() -> None:
    report = keepalived.parse_dump(DUMP)
    assert report is not None
    assert (report.role, report.effective_priority, report.vrid) == (Role.MASTER, 140, 10)
    assert report.vips == ("192.0.2.10",)
    assert (report.counters.advert_sent, report.counters.priority_zero_sent) == (1665, 2)


def test_a_dump_without_our_instance_says_nothing() -> None:
    assert keepalived.parse_dump("[]") is None


@pytest.mark.parametrize("length", range(0, len(DUMP), 97))
def test_a_torn_dump_is_refused_and_never_half_read(length: int) -> None:
    with pytest.raises(ProgramError):
        keepalived.parse_dump(DUMP[:length])


def test_keepalived_is_given_every_address_in_the_list_of_its_family() -> None:
    text = rendered()
    own, _, other = text.partition("virtual_ipaddress_excluded")
    assert "192.168.1.10/32 dev eth7" in own
    assert "2001:db8::10/128 dev eth7" in other
    assert "2001:db8::10/128 dev" not in own


def test_a_sticky_node_does_not_preempt() -> None:
    assert "nopreempt" in rendered()
    assert "nopreempt" not in rendered(prefer="first")


def test_adverts_go_to_the_peers_alone() -> None:
    text = rendered()
    assert "unicast_src_ip 192.168.1.12" in text
    assert "192.168.1.11 min_ttl 255 max_ttl 255" in text
    assert "192.168.1.12 min_ttl" not in text


def test_keepalived_runs_in_real_time_where_the_kernel_grants_it() -> None:
    assert "vrrp_rt_priority" in rendered(real_time=True)
    assert "vrrp_rt_priority" not in rendered()


def test_adverts_are_faster_where_no_ordinary_process_delays_them_unless_they_are_set() -> None:
    auto, chosen = load_with().settings, load_with(HA_ADVERT_INTERVAL="50ms").settings
    for settings, in_real_time, else_ in ((auto, 0.03, 0.1), (chosen, 0.05, 0.05)):
        assert keepalived.advert_interval(settings, real_time=True) == in_real_time
        assert keepalived.advert_interval(settings, real_time=False) == else_


def rendered(prefer: str = "none", *, real_time: bool = False) -> str:
    loaded = load_with(HA_VIP="192.168.1.10,2001:db8::10", HA_PREFER=prefer)
    identity = Identity(
        node=ipaddress.ip_address("192.168.1.12"),
        index=1,
        interface="eth0",
        peers=(ipaddress.ip_address("192.168.1.11"),),
    )
    return keepalived.render(
        loaded.settings, identity, Paths(config=CONFIG), "eth7", real_time=real_time
    )
