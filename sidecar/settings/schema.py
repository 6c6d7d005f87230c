"""The one table of all settings.

It makes the parser, the table of docs/settings.md, `.env.example` and what `ha check` prints.
To add a setting: a row here, a field of `core.settings.Settings`, a line in config/sidecar.yaml.
"""

from typing import Final

from sidecar.core.settings import LogFormat, LogLevel, Prefer
from sidecar.settings import network, parse, sync
from sidecar.settings.row import Row

_BOOLEAN: Final = "`on` or `off`; also yes, no, true, false, 1, 0"
_COMMAND: Final = "a shell command"
_INTERVAL: Final = "`100ms` to `1h`; a plain number is seconds"

SCHEMA: Final = (
    Row(
        variable="HA_NODES",
        field="nodes",
        parse=network.nodes,
        required=True,
        meaning="Addresses of all nodes in order of preference, the same list on every host",
        allowed="at least two IP addresses of one family, comma-separated",
        example="192.168.1.11,192.168.1.12",
    ),
    Row(
        variable="HA_VIP",
        field="vips",
        parse=network.vips,
        required=True,
        meaning="The virtual address that moves between the nodes, or several of them",
        allowed=(
            "`address[/prefix]`, comma-separated, at least one of the nodes' own family; "
            "the prefix defaults to 32 and is always 128 for IPv6"
        ),
        example="192.168.1.10",
    ),
    Row(
        variable="HA_SECRET",
        field="secrets",
        parse=parse.secrets,
        required=True,
        secret=True,
        meaning="The shared secret of the nodes; all keys are derived from it",
        allowed=(
            "at least 32 characters, no spaces or commas; make one with `openssl rand -hex 32`; "
            "`new,old` while it is being changed"
        ),
        example="<what openssl printed>",
    ),
    Row(
        variable="HA_NODE",
        field="node",
        parse=parse.optional(network.address),
        computed="detected",
        meaning="Which of HA_NODES this host is; only needed where its addresses do not tell",
        allowed="one of HA_NODES",
        example="192.168.1.11",
    ),
    Row(
        variable="HA_INTERFACE",
        field="interface",
        parse=parse.optional(network.interface),
        computed="detected",
        meaning="Interface for VRRP and the VIP; by default the one with the node's address",
        allowed="the name of an interface, at most 15 characters",
        example="eth0",
    ),
    Row(
        variable="HA_VRID",
        field="vrid",
        parse=parse.optional(parse.integer(1, 255)),
        computed="from the VIP",
        meaning=(
            "VRRP router id, unique on the network; by default the last byte of the first VIP "
            "(192.168.1.10 → 10, fd00::1f → 31), or 255 if that is 0"
        ),
        allowed="1 to 255",
        example="51",
    ),
    Row(
        variable="HA_ADVERT_INTERVAL",
        field="advert_interval",
        parse=parse.auto(parse.duration("10ms", "40s", step="10ms")),
        default="auto",
        computed="auto",
        meaning=(
            "Time between VRRP adverts; a crash is noticed when three are missing. `auto` is 30ms "
            "where the kernel runs keepalived in real time, else 100ms"
        ),
        allowed="`auto`, or `10ms` to `40s` in steps of 10ms",
        example="100ms",
    ),
    Row(
        variable="HA_PREFER",
        field="prefer",
        parse=parse.choice(Prefer),
        default="none",
        meaning=(
            "Where the VIP belongs when all nodes are well: `none` leaves it where it is, "
            "`first` returns it to the first of HA_NODES"
        ),
        allowed="`none` or `first`",
        example="first",
    ),
    Row(
        variable="HA_NGINX",
        field="nginx",
        parse=parse.boolean,
        default="on",
        meaning="Run the bundled nginx; `off` leaves the VIP to a service of your own",
        allowed=_BOOLEAN,
        example="off",
    ),
    Row(
        variable="HA_SITES",
        field="sites",
        parse=network.sites,
        meaning="Sites to proxy without writing nginx files",
        allowed=(
            "`host=url` pairs, comma-separated; the host is a name, or `_` for all other names; "
            "the URL is `http://` or `https://` with host, port and path, but no user or query"
        ),
        example="app.example.com=http://192.168.1.20:8080,_=http://192.168.1.21",
    ),
    Row(
        variable="HA_CONTAINERS",
        field="containers",
        parse=parse.boolean,
        default="off",
        meaning=(
            "Serve containers that set VIRTUAL_HOST, on whichever node they run; set it on every "
            "host, and mount Docker's socket"
        ),
        allowed=_BOOLEAN,
        example="on",
    ),
    Row(
        variable="HA_CONTAINERS_FILTER",
        field="containers_filter",
        parse=network.filters,
        meaning="Which containers to serve, as filters of `docker ps --filter`; all must match",
        allowed="`key=value`, comma-separated",
        example="label=public=yes,network=web",
    ),
    Row(
        variable="HA_CONTAINERS_SPREAD",
        field="containers_spread",
        parse=parse.boolean,
        default="off",
        meaning=(
            "Balance requests over the containers of all nodes; `off` uses those of other nodes "
            "only if this node has none that can serve"
        ),
        allowed=_BOOLEAN,
        example="on",
    ),
    Row(
        variable="DOCKER_HOST",
        field="docker_host",
        parse=network.docker_host,
        default="unix:///var/run/docker.sock",
        meaning="Where Docker's API is reached",
        allowed="`unix:///path`, or `tcp://host:port` of a socket proxy",
        example="tcp://127.0.0.1:2375",
    ),
    Row(
        variable="HA_RELAY_PORT",
        field="relay_port",
        parse=parse.integer(1, 65535),
        default="8731",
        meaning="TCP port for requests to another node's containers, on the node's address",
        allowed="1 to 65535, other than HA_SYNC_PORT, HA_HTTP_PORT, 80 and 443",
        example="8731",
    ),
    Row(
        variable="HA_CHECK_URLS",
        field="check_urls",
        parse=network.urls,
        meaning="Further URLs that must answer 2xx or 3xx for this node to be eligible",
        allowed="`http://` and `https://` URLs without a user, comma-separated",
        example="http://127.0.0.1:8080/health",
    ),
    Row(
        variable="HA_CHECK_INTERVAL",
        field="check_interval",
        parse=parse.duration("100ms", "1h"),
        default="1s",
        meaning="Time between checks",
        allowed=_INTERVAL,
        example="500ms",
    ),
    Row(
        variable="HA_CHECK_TIMEOUT",
        field="check_timeout",
        parse=parse.duration("1ms", "1h"),
        default="1s",
        meaning="How long a check may take",
        allowed="`1ms` to `1h`; a plain number is seconds",
        example="500ms",
    ),
    Row(
        variable="HA_CHECK_FALL",
        field="check_fall",
        parse=parse.integer(1, 100),
        default="2",
        meaning="Failures in a row before a check counts as failed",
        allowed="1 to 100",
        example="3",
    ),
    Row(
        variable="HA_CHECK_RISE",
        field="check_rise",
        parse=parse.integer(1, 100),
        default="2",
        meaning="Successes in a row before it counts as passed again",
        allowed="1 to 100",
        example="3",
    ),
    Row(
        variable="HA_SYNC_PATHS",
        field="sync_paths",
        parse=sync.paths,
        default="/etc/nginx",
        meaning="Directories kept the same on every node, in both directions",
        allowed=(
            "absolute paths, comma-separated, none inside another; not `/`, and no directory of "
            "the system or of kiss-ha itself"
        ),
        example="/etc/nginx,/srv/www",
    ),
    Row(
        variable="HA_SYNC_SCHEDULE",
        field="sync_schedule",
        parse=sync.schedule,
        show=lambda schedule: schedule or sync.OFF,
        default="*/5 * * * *",
        meaning="When every file is read and compared, whatever was noticed before; in zone TZ",
        allowed="a cron expression with five fields, or `off`",
        example="30 3 * * *",
    ),
    Row(
        variable="HA_SYNC_ON_CHANGE",
        field="sync_on_change",
        parse=parse.boolean,
        default="on",
        meaning="Sync as soon as a file changes; `off` leaves it to HA_SYNC_SCHEDULE and `ha sync`",
        allowed=_BOOLEAN,
        example="off",
    ),
    Row(
        variable="HA_SYNC_SOAK",
        field="sync_soak",
        parse=parse.duration("0s", "1h"),
        default="2s",
        meaning="How long a change must serve well on its own node before the others get it",
        allowed="`0s` to `1h`; a plain number is seconds",
        example="30s",
    ),
    Row(
        variable="HA_SYNC_EXCLUDE",
        field="sync_exclude",
        parse=sync.exclude,
        computed="editor droppings",
        meaning=(
            "What else to leave alone, besides editor droppings (`*.swp`, `*~`, `*.tmp`, `.git/` …)"
        ),
        allowed=(
            "rsync-style patterns, comma-separated: `*.bak` anywhere, `cache/` a directory, "
            "`/old` only at the top of one of HA_SYNC_PATHS"
        ),
        example="*.bak,/cache/",
    ),
    Row(
        variable="HA_SYNC_KEEP",
        field="sync_keep",
        parse=parse.integer(1, 10_000),
        default="50",
        meaning="How many snapshots to keep with their files, to go back to",
        allowed="1 to 10000",
        example="200",
    ),
    Row(
        variable="HA_SYNC_PORT",
        field="link_port",
        parse=parse.integer(1, 65535),
        default="8730",
        meaning="TCP port for ssh between the nodes, on the node's address",
        allowed="1 to 65535, other than HA_HTTP_PORT",
        example="8730",
    ),
    Row(
        variable="HA_HTTP_PORT",
        field="http_port",
        parse=parse.integer(1, 65535),
        default="9165",
        meaning="TCP port for metrics, health and status",
        allowed="1 to 65535, other than HA_SYNC_PORT",
        example="9165",
    ),
    Row(
        variable="HA_HTTP_LISTEN",
        field="http_listen",
        parse=parse.optional(network.listen),
        computed="node address, 127.0.0.1",
        meaning="Addresses that metrics, health and status are served on",
        allowed="IP addresses, comma-separated; `0.0.0.0` and `::` mean all",
        example="127.0.0.1",
    ),
    Row(
        variable="HA_HOOK_MASTER",
        field="hook_master",
        parse=parse.command,
        meaning="Command to run when this node becomes MASTER",
        allowed=_COMMAND,
        example="sh /var/lib/ha/notify.sh master",
    ),
    Row(
        variable="HA_HOOK_BACKUP",
        field="hook_backup",
        parse=parse.command,
        meaning="Command to run when this node becomes BACKUP",
        allowed=_COMMAND,
        example="sh /var/lib/ha/notify.sh backup",
    ),
    Row(
        variable="HA_HOOK_FAULT",
        field="hook_fault",
        parse=parse.command,
        meaning="Command to run when this node becomes FAULT",
        allowed=_COMMAND,
        example="sh /var/lib/ha/notify.sh fault",
    ),
    Row(
        variable="HA_HOOK_SYNC",
        field="hook_sync",
        parse=parse.command,
        meaning=(
            "With HA_NGINX=off: command to run once a peer's change is in place, such as a reload "
            "of your service; if it fails, the change is rejected and undone"
        ),
        allowed=_COMMAND,
        example="sh /var/lib/ha/reload.sh",
    ),
    Row(
        variable="HA_NOTIFY",
        field="notify",
        parse=network.notify,
        secret=True,
        meaning="Where to send news of failovers and problems; test it with `ha notify test`",
        allowed="Apprise URLs (https://appriseit.com/services/), comma-separated",
        example="ntfys://ntfy.example.com/alerts,mailto://user:password@example.com",
    ),
    Row(
        variable="LOG_LEVEL",
        field="log_level",
        parse=parse.choice(LogLevel),
        default="info",
        meaning="The lowest severity to log",
        allowed="`debug`, `info`, `warning` or `error`",
        example="debug",
    ),
    Row(
        variable="LOG_FORMAT",
        field="log_format",
        parse=parse.choice(LogFormat),
        default="text",
        meaning="The format of log lines",
        allowed="`text` or `json`",
        example="json",
    ),
    Row(
        variable="TZ",
        field="timezone",
        parse=parse.timezone,
        default="UTC",
        meaning="Time zone of logs, schedules and the status page",
        allowed="a name from the tz database",
        example="Europe/Berlin",
    ),
    Row(
        variable="NO_COLOR",
        field="color",
        parse=parse.colored,
        show=lambda color: "" if color else "1",
        meaning="Set to anything, it turns colors off",
        allowed="any text",
        example="1",
    ),
)
