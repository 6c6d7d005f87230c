"""Rules between settings, each of which is right on its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from sidecar.core.settings import Interface


def broken(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the field and the cause of each rule that `values` (by field) break.

    A field that is wrong on its own is not among the values; the rules about it are left out.
    """
    nodes, vips, node = values.get("nodes", ()), values.get("vips", ()), values.get("node")
    if nodes and node is not None and node not in nodes:
        yield "node", "that is none of HA_NODES"
    if nodes and vips and nodes[0].version not in {vip.version for vip in vips}:
        yield "vips", f"none is an IPv{nodes[0].version} address, as the nodes' are"
    for vip in vips:
        if vip.ip in nodes:
            yield "vips", f"'{vip.ip}' is in HA_NODES too; a VIP is an address that no host has"
    for pattern in values.get("sync_exclude", ()):
        for path in values.get("sync_paths", ()):
            if f"{pattern}/".startswith(f"{path}/"):
                yield "sync_exclude", _from_the_top(pattern, path)
    if "link_port" in values and values["link_port"] == values.get("http_port"):
        yield "link_port", "HA_HTTP_PORT is the same"


def _from_the_top(pattern: str, path: str) -> str:
    inside = pattern.removeprefix(path)
    if not inside.strip("/"):
        return f"'{pattern}' is one of HA_SYNC_PATHS: leave it out there"
    return f"'{pattern}' has to begin at the top of {path}: write '{inside}'"


def router_id(vip: Interface) -> int:
    """Return the VRRP router id for a first VIP: its last byte, 255 instead of 0."""
    return vip.ip.packed[-1] or 255
