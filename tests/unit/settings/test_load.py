import os
from dataclasses import fields
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sidecar.core.settings import LogFormat, Prefer, Settings, Site
from sidecar.errors import ExitCode, SettingsError
from sidecar.host.paths import Paths
from sidecar.settings.describe import describe
from sidecar.settings.load import from_process, load
from sidecar.settings.row import Row
from sidecar.settings.schema import SCHEMA
from tests.unit.settings.example import CONFIG_FILE, REQUIRED, load_with

VARIABLES = [row.variable for row in SCHEMA]


def problems(environment: dict[str, str], config_file: Path = CONFIG_FILE) -> str:
    """Return all problems as text, one paragraph each."""
    with pytest.raises(SettingsError) as error:
        load(environment, config_file=config_file)
    assert error.value.exit_code is ExitCode.CONFIGURATION
    return "\n\n".join(error.value.problems)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_three_settings_are_enough() -> None:
    assert load_with().settings == Settings(
        nodes=(ip_address("192.168.1.11"), ip_address("192.168.1.12")),
        vips=(ip_interface("192.168.1.10/32"),),
        secrets=(REQUIRED["HA_SECRET"],),
        node=None,
        interface=None,
        vrid=10,
        advert_interval=None,
        prefer=Prefer.NONE,
        nginx=True,
        sites=(),
        containers=False,
        containers_filter=(),
        containers_spread=False,
        docker_host="unix:///var/run/docker.sock",
        relay_port=8731,
        check_urls=(),
        check_interval=1.0,
        check_timeout=1.0,
        check_fall=2,
        check_rise=2,
        sync_paths=("/etc/nginx",),
        sync_schedule="*/5 * * * *",
        sync_on_change=True,
        sync_soak=2.0,
        sync_exclude=(),
        sync_keep=50,
        link_port=8730,
        http_port=9165,
        http_listen=None,
        hook_master="",
        hook_backup="",
        hook_fault="",
        hook_sync="",
        notify=(),
        log_level="info",
        log_format=LogFormat.TEXT,
        timezone="UTC",
        color=True,
    )


CHANGES: dict[str, tuple[str, str, object]] = {
    "HA_NODES": (
        "192.168.1.12,192.168.1.11",
        "nodes",
        tuple(map(ip_address, ("192.168.1.12", "192.168.1.11"))),
    ),
    "HA_VIP": ("192.168.1.9/24", "vips", (ip_interface("192.168.1.9/24"),)),
    "HA_SECRET": (
        f"x9{REQUIRED['HA_SECRET']},{REQUIRED['HA_SECRET']}",
        "secrets",
        ("x9" + REQUIRED["HA_SECRET"], REQUIRED["HA_SECRET"]),
    ),
    "HA_NODE": ("192.168.1.12", "node", ip_address("192.168.1.12")),
    "HA_INTERFACE": ("eth0", "interface", "eth0"),
    "HA_VRID": ("51", "vrid", 51),
    "HA_ADVERT_INTERVAL": ("50ms", "advert_interval", 0.05),
    "HA_PREFER": ("first", "prefer", Prefer.FIRST),
    "HA_NGINX": ("off", "nginx", False),
    "HA_SITES": ("a=http://b", "sites", (Site(host="a", url="http://b"),)),
    "HA_CONTAINERS": ("on", "containers", True),
    "HA_CONTAINERS_FILTER": (
        "label=a=b c, network=web",
        "containers_filter",
        ("label=a=b c", "network=web"),
    ),
    "HA_CONTAINERS_SPREAD": ("on", "containers_spread", True),
    "DOCKER_HOST": ("tcp://127.0.0.1:2375", "docker_host", "tcp://127.0.0.1:2375"),
    "HA_RELAY_PORT": ("8732", "relay_port", 8732),
    "HA_CHECK_URLS": ("http://a", "check_urls", ("http://a",)),
    "HA_CHECK_INTERVAL": ("2s", "check_interval", 2.0),
    "HA_CHECK_TIMEOUT": ("3s", "check_timeout", 3.0),
    "HA_CHECK_FALL": ("4", "check_fall", 4),
    "HA_CHECK_RISE": ("5", "check_rise", 5),
    "HA_SYNC_PATHS": ("/srv/b,/srv/a/", "sync_paths", ("/srv/a", "/srv/b")),
    "HA_SYNC_SCHEDULE": ("off", "sync_schedule", None),
    "HA_SYNC_ON_CHANGE": ("off", "sync_on_change", False),
    "HA_SYNC_SOAK": ("0", "sync_soak", 0.0),
    "HA_SYNC_EXCLUDE": ("*.bak,/cache/", "sync_exclude", ("*.bak", "/cache/")),
    "HA_SYNC_KEEP": ("7", "sync_keep", 7),
    "HA_SYNC_PORT": ("2222", "link_port", 2222),
    "HA_HTTP_PORT": ("8080", "http_port", 8080),
    "HA_HTTP_LISTEN": ("::", "http_listen", ("::",)),
    "HA_HOOK_MASTER": ("a", "hook_master", "a"),
    "HA_HOOK_BACKUP": ("b", "hook_backup", "b"),
    "HA_HOOK_FAULT": ("c", "hook_fault", "c"),
    "HA_HOOK_SYNC": ("d", "hook_sync", "d"),
    "HA_NOTIFY": (
        "json://192.0.2.1/?to=a,b, mailto://me:pass,word@example.com,",
        "notify",
        ("json://192.0.2.1/?to=a,b", "mailto://me:pass,word@example.com"),
    ),
    "LOG_LEVEL": ("error", "log_level", "error"),
    "LOG_FORMAT": ("json", "log_format", LogFormat.JSON),
    "TZ": ("Europe/Berlin", "timezone", "Europe/Berlin"),
    "NO_COLOR": ("0", "color", False),
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_each_variable_and_its_file_change_their_setting(tmp_path: Path, variable: str) -> None:
    text, field, value = CHANGES[variable]
    assert getattr(load_with().settings, field) != value
    assert getattr(load_with(**{variable: text}).settings, field) == value
    file = written(tmp_path / "value", f"{text}\n")
    loaded = load_with(**{variable: "", f"{variable}_FILE": str(file)})
    assert getattr(loaded.settings, field) == value
    assert str(loaded.sources[variable]) == f"file {file}"


def test_the_table_has_every_field_in_the_order_of_the_settings() -> None:
    assert [row.field for row in SCHEMA] == [field.name for field in fields(Settings)]


@pytest.mark.parametrize("row", SCHEMA, ids=VARIABLES)
def test_defaults_and_examples_of_the_table_are_right(row: Row) -> None:
    if not row.required:
        row.parse(row.default)
    if not row.secret:
        row.parse(row.example)
    assert not row.meaning.endswith(".")
    assert not row.allowed.endswith(".")


def test_empty_is_unset() -> None:
    empty = {name: "" for name in VARIABLES if name not in REQUIRED}
    files = {f"{name}_FILE": "" for name in VARIABLES}
    assert load_with(**empty, **files, HA_ODD="") == load_with()


def test_all_problems_come_at_once_each_with_what_is_right() -> None:
    text = problems({"HA_NODES": "10.0.0.1", "HA_VRID": "300", "HA_NGNX": "on", "TZ": "Mars"})
    assert len(text.split("\n\n")) == 6
    for part in (
        "HA_NODES='10.0.0.1': at least two nodes are required",
        "example: HA_NODES=192.168.1.11,192.168.1.12",
        "HA_VIP: required, but not set",
        "HA_SECRET: required, but not set",
        "HA_VRID='300': expected 1 to 255\n  allowed: 1 to 255\n  example: HA_VRID=51",
        "HA_NGNX: unknown setting\n  did you mean HA_NGINX?",
        "TZ='Mars': unknown time zone",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HA_NODE": "192.168.1.13"}, "HA_NODE='192.168.1.13': expected one of HA_NODES"),
        ({"HA_VIP": "fd00::1"}, "HA_VIP='fd00::1': expected an IPv4 address"),
        ({"HA_VIP": "192.168.1.12"}, "'192.168.1.12' is also in HA_NODES"),
        ({"HA_SYNC_PORT": "9165"}, "HA_SYNC_PORT='9165': HA_HTTP_PORT has the same value"),
        ({"HA_HTTP_PORT": "8730"}, "HA_SYNC_PORT: HA_HTTP_PORT has the same value"),
        (
            {"HA_CONTAINERS": "on", "HA_NGINX": "off"},
            "HA_CONTAINERS='on': it needs the bundled nginx, but HA_NGINX is off",
        ),
        (
            {"HA_CONTAINERS": "on", "HA_RELAY_PORT": "9165"},
            "HA_RELAY_PORT='9165': HA_SYNC_PORT, HA_HTTP_PORT or nginx has the same value",
        ),
        ({"HA_CONTAINERS_FILTER": "public"}, "'public': expected key=value"),
        ({"DOCKER_HOST": "ssh://a"}, "expected unix:///path or tcp://host:port"),
        ({"HA_SITES": "a=http://b,c"}, "'c': expected host=url"),
        (
            {"HA_SYNC_EXCLUDE": "/etc/nginx/cache/"},
            "'/etc/nginx/cache/' must be relative to /etc/nginx: write '/cache/'",
        ),
        (
            {"HA_SYNC_PATHS": "/srv/a,/srv/b", "HA_SYNC_EXCLUDE": "/srv/b"},
            "'/srv/b' is one of HA_SYNC_PATHS: remove it there",
        ),
        ({"HA_NODES": "x", "HA_SYNC_PORT": "9165"}, "HA_HTTP_PORT has the same value"),
        ({"HA_SECRET_FILE": "/x"}, "HA_SECRET and HA_SECRET_FILE are both set"),
        ({"HA_ADRESS": "x"}, "HA_ADRESS: unknown setting"),
        ({"HA_SITE_FILE": "x"}, "did you mean HA_SITES_FILE?"),
        ({"HA_ZZZZZZZZ": "x"}, "remove it"),
        ({"HA_HOOK_FAULT": "\udcff"}, "HA_HOOK_FAULT is not UTF-8 text"),
        ({"HA_HOOK_FAULT": "a\0"}, "HA_HOOK_FAULT is not UTF-8 text"),
    ],
)
def test_a_problem_says_what_to_change(variables: dict[str, str], expected: str) -> None:
    text = problems(REQUIRED | variables)
    assert expected in text
    assert "\n\n" not in text or "HA_NODES" in variables


@pytest.mark.parametrize(
    ("vip", "vrid"),
    [("192.168.1.10", 10), ("192.168.1.0", 255), ("192.168.1.255,192.168.1.7", 255)],
)
def test_the_router_id_is_the_last_byte_of_the_first_vip(vip: str, vrid: int) -> None:
    assert load_with(HA_VIP=vip).settings.vrid == vrid


def test_the_router_id_of_an_ipv6_vip_is_its_last_byte() -> None:
    assert load_with(HA_NODES="fd00::1,fd00::2", HA_VIP="fd00::1:1f").settings.vrid == 31


@pytest.mark.parametrize(
    "text",
    [
        "echo a # b",
        "echo 'it' \"is\": {a: b}",
        "010",
        "echo $HA_SECRET ${HA_NODES} $$HOME",
        "echo one\necho two",
        " # ",
        "null",
        "- !x &y *z | > % @ `",
        "\\n\\u0041",
        "äöü 🚀 \u2028\x85\ufeff\x01",
        "\ue000HA_SECRET\ue001",
        "x\n",
    ],
)
def test_any_text_survives_exactly(tmp_path: Path, text: str) -> None:
    loaded = load_with(HA_HOOK_MASTER=text, HA_HOOK_FAULT=text[::-1])
    assert loaded.settings.hook_master == text
    assert loaded.settings.hook_fault == text[::-1]
    (tmp_path / "hook").write_bytes(f"{text}\n".encode())
    loaded = load_with(HA_HOOK_MASTER_FILE=str(tmp_path / "hook"))
    assert loaded.settings.hook_master == text


def test_octal_looking_numbers_are_decimal() -> None:
    assert load_with(HA_VRID="010").settings.vrid == 10


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff", "not UTF-8"),
        (b"x" * 70_000, "longer than 64 KiB"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, expected: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    text = problems(REQUIRED | {"HA_SECRET": "", "HA_SECRET_FILE": str(path)})
    assert expected in text
    assert "HA_SECRET_FILE" in text
    assert "required" not in text
    if content is None:
        assert f"'{path}' as uid {os.geteuid()}" in text


def test_a_secret_from_a_file_is_not_told(tmp_path: Path) -> None:
    path = written(tmp_path / "secret", "tooshort")
    text = problems(REQUIRED | {"HA_SECRET": "", "HA_SECRET_FILE": str(path)})
    assert f"HA_SECRET_FILE={path} with (hidden): expected at least 32 characters, not 8" in text
    assert "tooshort" not in text


def test_a_dot_env_in_the_working_directory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / ".env", "HA_VRID=77\nHA_VRID=78\n")
    monkeypatch.chdir(tmp_path)
    assert load_with().settings.vrid == 10


def test_only_the_given_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HA_VRID", "77")
    assert load_with().settings.vrid == 10


def test_the_process_is_asked_for_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HA_NGNX", "77")
    with pytest.raises(SettingsError):
        from_process(Paths(config=CONFIG_FILE.parent))


def test_the_description_has_every_setting_with_its_source(tmp_path: Path) -> None:
    file = written(tmp_path / "tz", "Europe/Berlin\n")
    lines = list(
        describe(
            load_with(
                TZ_FILE=str(file),
                HA_HOOK_FAULT="a\nb",
                HA_SITES="a=http://b",
                HA_SYNC_SCHEDULE="OFF",
                NO_COLOR="1",
            )
        )
    )
    assert len(lines) == len(SCHEMA)
    for line in (
        "HA_NODES: 192.168.1.11,192.168.1.12 (environment)",
        "HA_VIP: 192.168.1.10/32 (environment)",
        "HA_SECRET: (hidden) (environment)",
        "HA_NOTIFY: unset (default)",
        "HA_NODE: detected (default)",
        "HA_VRID: 10 (default)",
        "HA_ADVERT_INTERVAL: auto (default)",
        "HA_NGINX: on (default)",
        "HA_SITES: a=http://b (environment)",
        "HA_CHECK_URLS: unset (default)",
        "HA_SYNC_SCHEDULE: off (environment)",
        "HA_SYNC_SOAK: 2s (default)",
        "HA_SYNC_EXCLUDE: editor droppings (default)",
        "HA_HOOK_FAULT: 'a\\nb' (environment)",
        f"TZ: Europe/Berlin (file {file})",
        "NO_COLOR: 1 (environment)",
    ):
        assert line in lines


# A secret of these letters cannot be part of any message by chance.
SECRET = st.text(st.sampled_from("ŽĐŁŐŞЖЩЮ \t\x07"), min_size=2, max_size=80)


TEXT = st.text(max_size=40) | st.from_regex(
    r"[0-9a-fx.:/,=%$#'\"{}\-_ ]{0,20}|[a-z_]=https?://[0-9a-z.:\[\]@/?]{0,20}", fullmatch=True
)


@given(st.dictionaries(st.sampled_from(VARIABLES), TEXT, max_size=6), SECRET)
@example({"HA_SECRET_FILE": "."}, "ŽĐ")
@example({"HA_NODE": "\0"}, "ŽĐ")
def test_any_text_either_loads_or_is_told_and_the_secret_never_is(
    variables: dict[str, str], secret: str
) -> None:
    kept = secret.strip()
    assume(kept and not any(kept in text for text in variables.values()))
    environment = REQUIRED | variables | {"HA_SECRET": secret}
    problems: tuple[str, ...] = ()
    try:
        loaded = load(environment, config_file=CONFIG_FILE)
        told = f"{loaded!r} {list(describe(loaded))}"
    except SettingsError as error:
        problems = error.problems
        told = f"{error} {error!r}"
    assert kept not in told
    assert all(any(name in problem for name in environment) for problem in problems)


@given(st.sampled_from(VARIABLES), TEXT)
def test_a_wrong_value_is_told_by_the_name_of_its_variable(variable: str, text: str) -> None:
    problems: tuple[str, ...] = ()
    try:
        load(REQUIRED | {variable: text}, config_file=CONFIG_FILE)
    except SettingsError as error:
        problems = error.problems
    assert all(variable in problem or "HA_VIP" in problem for problem in problems)
