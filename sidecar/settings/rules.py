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
        yield "node", "expected one of HA_NODES"
    if nodes and vips and nodes[0].version not in {vip.version for vip in vips}:
        yield "vips", f"expected an IPv{nodes[0].version} address, like those of the nodes"
    for vip in vips:
        if vip.ip in nodes:
            yield (
                "vips",
                f"'{vip.ip}' is also in HA_NODES; a VIP must not be the address of a host",
            )
    for pattern in values.get("sync_exclude", ()):
        for path in values.get("sync_paths", ()):
            if f"{pattern}/".startswith(f"{path}/"):
                yield "sync_exclude", _from_the_top(pattern, path)
    if "link_port" in values and values["link_port"] == values.get("http_port"):
        yield "link_port", "HA_HTTP_PORT has the same value"
    if values.get("containers"):
        yield from _broken_containers(values)


def _broken_containers(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not values.get("nginx", True):
        yield "containers", "it needs the bundled nginx, but HA_NGINX is off"
    if values.get("relay_port", 0) in {values.get("link_port"), values.get("http_port"), 80, 443}:
        yield "relay_port", "HA_SYNC_PORT, HA_HTTP_PORT or nginx has the same value"


def _from_the_top(pattern: str, path: str) -> str:
    inside = pattern.removeprefix(path)
    if not inside.strip("/"):
        return f"'{pattern}' is one of HA_SYNC_PATHS: remove it there"
    return f"'{pattern}' must be relative to {path}: write '{inside}'"


def router_id(vip: Interface) -> int:
    """Return the VRRP router id for a first VIP: its last byte, 255 instead of 0."""
    return vip.ip.packed[-1] or 255
