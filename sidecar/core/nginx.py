"""What nginx says, understood: complaints, counters, a dump of the whole configuration."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from sidecar.core.report import Problem, ServerReport, Severity, StubStatus
from sidecar.core.servers import FILE, servers
from sidecar.core.settings import Address

_PREFIX: Final = re.compile(
    r"(?:nginx: )?(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?\[emerg\] (?:\d+#\d+: )?(?:\*\d+ )?"
)

_STUB_STATUS: Final = re.compile(
    r"Active connections: (\d+) *\n"
    r"server accepts handled requests\n"
    r" *(\d+) (\d+) (\d+) *\n"
    r"Reading: (\d+) Writing: (\d+) Waiting: (\d+)\s*"
)

_SET_MISC: Final = (
    r"set_(?:un)?escape_uri|set_(?:de|en)code_\w+|set_quote_\w+|set_formatted_\w+"
    r"|set_(?:secure_)?random\w*|set_if_empty|set_md5|set_sha1|set_hmac_\w+"
    r"|set_hashed_upstream|set_rotate|set_local_today|set_base32_\w+"
)

_MODULES: Final = (
    (r"stream", "ngx_stream_module.so"),
    (r"mail", "ngx_mail_module.so"),
    (r"more_(?:set|clear)_\w+", "ngx_http_headers_more_filter_module.so"),
    (r"brotli_static", "ngx_http_brotli_static_module.so"),
    (r"brotli\w*", "ngx_http_brotli_filter_module.so"),
    (r"geoip2\w*", "ngx_http_geoip2_module.so"),
    (r"js_\w+", "ngx_http_js_module.so"),
    (_SET_MISC, "ndk_http_module.so", "ngx_http_set_misc_module.so"),
)
"""Directives, and the modules of the image that they need, in the order to load them."""


def _lines(modules: Iterable[str]) -> str:
    return " and ".join(f"`load_module modules/{module};`" for module in modules)


_ELSEWHERE: Final = (
    r"\w+_by_lua\w*|lua_\w+|modsecurity\w*|perl\w*|xslt_\w+|rtmp|nchan_\w+|image_filter\w*"
    r"|geoip_\w+|vhost_traffic_status\w*|fancyindex\w*|pagespeed|auth_pam\w*|subs_filter\w*"
    r"|acme_\w+|zstd\w*|push_stream\w*|upload_\w+|echo"
)
"""Directives of usual modules that the image does not have."""

_BYTE_ORDER_MARK: Final = "save the file without a byte order mark (as UTF-8, not UTF-8 with BOM)"

_NOT_THERE: Final = "put it into the nginx folder, or mount its directory in the container"
_NO_MODULE: Final = "the image has no such module: remove what loads it, and what needs it"

_ADVICE: Final = (
    (
        r"getpwnam\(",
        "write `user www-data;`: the image has www-data, nginx, nobody, http, abc and npm",
    ),
    (r"getgrnam\(", "leave the group out: `user www-data;`"),
    (
        r"bind\(\) .*\(98: ",
        "another program on this host holds that port: on the host, `ss -tulnp` names it",
    ),
    (
        r"bind\(\) .*\(99: ",
        "listen on all addresses (`listen 80;`): a VIP is only there while this node is MASTER",
    ),
    (r"bind\(\) .*\(13: ", "the container needs cap_add: NET_BIND_SERVICE"),
    (r"socket\(\) .*\(97: ", "this host has no IPv6: leave the `listen [::]` lines out"),
    (r"host not found in resolver", "give the address of a name server: `resolver 192.0.2.53;`"),
    (
        r"host not found in upstream",
        "a name that does not resolve stops all sites: use HA_SITES or a variable and a `resolver`",
    ),
    (r'invalid parameter "resolve"', "nginx 1.26 has no `resolve` here: leave it out"),
    (r"mkdir\(\) ", "put caches below /var/cache/nginx, or mount a volume there"),
    (
        r'open\(\) ".*(?:log|error|access)[^"]*" failed \((?:2|13|30): ',
        "put logs below /var/log/nginx: they go to the container's log",
    ),
    (
        r"\(30: ",
        "only /run, /tmp, /var/lib/nginx, /var/cache/nginx and your volumes are writable",
    ),
    (r"cannot load certificate|(?:BIO_new_file|fopen)\(.*No such file", _NOT_THERE),
    (r'open\(\) ".*/modules-enabled/.*" failed \(2: ', _NO_MODULE),
    (r'open\(\) ".*" failed \(2: ', _NOT_THERE),
    (r"key values mismatch", "certificate and key do not match: copy both again"),
    (r"duplicate default server", "two sites have `default_server` on one address: keep one"),
    (r"is already loaded", "two `load_module` lines name it: remove one"),
    (r"specified too late", "move the line to the top of nginx.conf, above `events`"),
    (r"dlopen\(", _NO_MODULE),
    (r"is not binary compatible|version \d+ instead of \d+", "use a module of the image"),
    (
        r'unknown "connection_upgrade" variable',
        "add to http: map $http_upgrade $connection_upgrade { default upgrade; '' close; }",
    ),
    (r'unknown ".*" variable', "a typo, or what sets it (a map, a module) is missing"),
    (r'unknown directive "\ufeff', _BYTE_ORDER_MARK),
    (r'unknown directive "ssl"', "write `listen 443 ssl;` instead of `ssl on;`"),
    *(
        (rf'unknown directive "(?:{names})"', f"add at the top: {_lines(modules)}")
        for names, *modules in _MODULES
    ),
    (rf'unknown directive "(?:{_ELSEWHERE})"', "the image has no module for it: remove the line"),
    (
        r"Unable to monitor track files",  # keepalived
        "no inotify instance is left: on the host, `sysctl fs.inotify.max_user_instances=1024`",
    ),
)
"""The first pattern that a complaint matches says what to do."""


_MACHINE: Final = re.compile(r"\((?:5|12|23|24|28|122): ")
"""Numbers of errno(3): a bad or full disk, no memory, no descriptor, no quota."""


def emergency(line: str) -> str:
    """Return an `[emerg]` line without time and process; empty if it is none."""
    match = _PREFIX.match(line)
    return f"[emerg] {line[match.end() :].strip()}" if match else ""


def first_emergency(lines: Iterable[str]) -> str:
    """Return the first `[emerg]` of `lines`, cleaned; empty if there is none."""
    return next(filter(None, map(emergency, lines)), "")


def advice(complaint: str) -> str:
    """Return what to change when nginx complains so; empty if there is nothing to add."""
    return next((text for pattern, text in _ADVICE if re.search(pattern, complaint)), "")


def of_this_machine(complaint: str) -> bool:
    """Tell whether nginx complains of this machine, which another configuration would not help."""
    return _MACHINE.search(complaint) is not None


def parse_stub_status(text: str) -> StubStatus:
    """Return nginx's counters from the page of ngx_http_stub_status_module.

    Raise ValueError if it is another page.
    """
    match = _STUB_STATUS.fullmatch(text)
    if match is None:
        raise ValueError("not a stub_status page")
    active, accepted, handled, requests, reading, writing, waiting = map(int, match.groups())
    return StubStatus(
        active=active,
        accepted=accepted,
        handled=handled,
        requests=requests,
        reading=reading,
        writing=writing,
        waiting=waiting,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a configuration is made of, as absolute paths."""

    files: frozenset[str] = frozenset()
    """What nginx read of it, and the certificates, keys and lists that are read with it."""
    patterns: frozenset[str] = frozenset()
    """What it includes, which new files may match."""
    certificates: frozenset[str] = frozenset()
    """Those of the files that have an end."""
    servers: tuple[ServerReport, ...] = ()
    """The servers that people have written, not those of our own files."""
    longest_server: int = 46
    """Characters of the longest name that its table of names can hold."""


def named(dump: str, directory: str, rendered: str) -> Named:
    """Return what a configuration (`nginx -T`) below `directory` names.

    What a variable names is read for each request, and needs no reload. Our own files lie below
    `rendered`.
    """
    certificates = _paths(dump, r"(?:\w+_)?ssl_certificate", directory)
    return Named(
        files=frozenset(FILE.findall(dump)) | certificates | _paths(dump, _LOADED, directory),
        patterns=_paths(dump, "include", directory),
        certificates=certificates,
        servers=servers(dump, directory, rendered),
        longest_server=_longest_server(dump),
    )


def _longest_server(dump: str) -> int:
    """Return how long a name may be (NGX_HASH_ELT_SIZE of ngx_hash.c, with pointers of 8 bytes)."""
    (*_, size) = ("64", *_arguments(dump, "server_names_hash_bucket_size"))
    return (int(size) // 8 - 2) * 8 - 2 if size.isdecimal() else Named().longest_server


def _paths(dump: str, directive: str, directory: str) -> frozenset[str]:
    values = (value.strip("\"'") for value in _arguments(dump, directive))
    return frozenset(
        value if value.startswith("/") else f"{directory}/{value}"
        for value in values
        if "$" not in value and not value.startswith(_NO_FILE)
    )


_LOADED: Final = (
    r"(?:\w+_)?ssl_(?:certificate_key|trusted_certificate|client_certificate|password_file|crl"
    r"|dhparam|session_ticket_key|stapling_file)"
)
_NO_FILE: Final = ("data:", "engine:", "store:")


def includes(dump: str, directory: str) -> bool:
    """Tell whether a configuration (`nginx -T`) includes files of `directory`."""
    return any(
        path.strip("\"'").startswith(f"{directory}/") for path in _arguments(dump, "include")
    )


def problems(
    dump: str, *, directory: str, sites: bool, vips: Iterable[Address]
) -> Iterator[Problem]:
    """Give what a valid configuration (`nginx -T`) makes worse than it could be.

    `directory` is where our rendered files lie; `sites` tells whether HA_SITES has any.
    """
    if not includes(dump, directory):
        lost = "HA_SITES are not served, and there " if sites else "there "
        yield Problem(
            code="nginx-include",
            severity=Severity.ERROR if sites else Severity.WARNING,
            message=f"nginx.conf does not include {directory}/*.conf: {lost}are no nginx metrics",
            hint=f"add `include {directory}/*.conf;` inside its http block",
        )
    held = set(vips)
    for listen in dict.fromkeys(_arguments(dump, "listen")):
        if _address(listen) in held:
            yield Problem(
                code="nginx-listen-vip",
                severity=Severity.ERROR,
                message=f"`listen {listen};` fails on every node that does not hold the VIP",
                hint="listen on all addresses: `listen 80;` and `listen [::]:80;`",
            )


def _arguments(dump: str, directive: str) -> Iterator[str]:
    """Give the first argument of each `directive` of a configuration; comments do not count."""
    pattern = rf"(?:^|[;{{}}\s]){directive}\s+([^;\s]+)[^;]*;"
    return (match[1] for match in re.finditer(pattern, _code(dump)))


def _code(dump: str) -> str:
    """Return a configuration without comments."""
    return re.sub(r"(^|\s)#.*", "", dump)


def _address(listen: str) -> Address | None:
    """Return the address of a `listen` value; None where it names none."""
    bracketed = listen.startswith("[")
    host = listen[1:].partition("]")[0] if bracketed else listen.partition(":")[0]
    try:
        return ip_address(host)
    except ValueError:
        return None
