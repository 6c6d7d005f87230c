from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from sidecar.core.settings import Site
from sidecar.settings.load import load
from tests.unit.settings.example import REQUIRED
from tests.unit.settings.test_load import problems, written


def test_a_users_mapping_may_hold_values_and_other_names(tmp_path: Path) -> None:
    file = written(
        tmp_path / "mine.yaml",
        """
# $NOT_THERE in a comment
nodes: [192.168.1.11, "192.168.1.12"]  # ${NOT_THERE} either
vip: "${MY_VIP}"
secret: '${HA_SECRET}'
vrid: 51
nginx: off
check_urls: ["http://${MY_VIP}/a", http://${MY_HOST|localhost}:8080]
sites: {a: "http://b"}
node:
http_port: ${HA_HTTP_PORT|8080}
hook_fault: cost $$5
interface: ${MY_INTERFACE}
""",
    )
    environment = {"HA_SECRET": REQUIRED["HA_SECRET"], "MY_VIP": "192.168.1.20"}
    loaded = load(environment, config_file=file)
    assert loaded.settings.nodes[1] == ip_address("192.168.1.12")
    assert loaded.settings.vips == (ip_interface("192.168.1.20/32"),)
    assert loaded.settings.vrid == 51
    assert not loaded.settings.nginx
    assert loaded.settings.check_urls == ("http://192.168.1.20/a", "http://localhost:8080")
    assert loaded.settings.sites == (Site(host="a", url="http://b"),)
    assert loaded.settings.node is None
    assert loaded.settings.http_port == 8080
    assert loaded.settings.hook_fault == "cost $5"
    assert loaded.settings.interface is None
    assert loaded.settings.log_level == "info"
    sources = {name: str(source) for name, source in loaded.sources.items()}
    assert sources["HA_NODES"] == "sidecar.yaml"
    assert sources["HA_VIP"] == "environment"
    assert sources["HA_NODE"] == sources["HA_INTERFACE"] == sources["LOG_LEVEL"] == "default"


MINIMAL = "nodes: ${HA_NODES}\nvip: ${HA_VIP}\nsecret: ${HA_SECRET}\n"


@pytest.mark.parametrize(
    ("mapping", "variables", "expected"),
    [
        ("", {"HA_VRID": "5"}, "does not use it\n  add `vrid: ${HA_VRID}` there"),
        ("vird: 5", {}, "unknown setting\n  did you mean vrid?"),
        ("vrid: 500", {}, "HA_VRID, in sidecar.yaml `vrid: '500'`: expected 1 to 255"),
        ("vrid: 5${MORE}", {}, "HA_VRID: it needs MORE, which is not set"),
        ("vrid: $lower", {}, "$lower"),
        ("vrid: [", {}, "cannot read "),
        ("hook_fault: 'topsecret", {}, "cannot read "),
        ("vrid: ${MY_VRID}", {"MY_VRID": "x"}, "MY_VRID='x': expected a whole number"),
        ("a: b\n- c", {}, "cannot read "),
    ],
)
def test_a_wrong_mapping_is_told(
    tmp_path: Path, mapping: str, variables: dict[str, str], expected: str
) -> None:
    file = written(tmp_path / "sidecar.yaml", MINIMAL + mapping)
    text = problems(REQUIRED | variables, file)
    assert expected in text
    assert "topsecret" not in text


@pytest.mark.parametrize("text", ["", "- a", "just text"])
def test_a_mapping_of_nothing_lacks_the_required_settings(tmp_path: Path, text: str) -> None:
    file = written(tmp_path / "sidecar.yaml", text)
    assert "HA_NODES: required, but not set" in problems({}, file)


def test_a_mapping_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.yaml"
    assert f"cannot read {file} as uid" in problems(REQUIRED, file)
    file.write_bytes(b"\xff")
    assert "not UTF-8" in problems(REQUIRED, file)
