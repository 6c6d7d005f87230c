from dataclasses import replace
from ipaddress import ip_address

import pytest

from sidecar.core.containers.container import Claim, Condition, Container, claims, server
from sidecar.core.containers.words import Method, Proto
from tests.unit.core.containers.made import AROUND, container


def wanted(one: Container) -> list[Claim]:
    found, ignored = claims(one)
    assert not ignored
    return list(found)


def ignored(one: Container) -> str:
    found, words = claims(one)
    assert not found
    (word,) = words
    assert word.container == one.name
    assert str(word) == f"container {one.name}: {word.reason}"
    return word.reason


def test_a_container_without_a_word_wants_nothing() -> None:
    assert claims(container(PATH="/bin", VIRTUAL_PORT="80")) == ((), ())
    assert claims(container(VIRTUAL_HOST=" ")) == ((), ())


@pytest.mark.parametrize(
    ("variables", "claim"),
    [
        ({"VIRTUAL_HOST": "app.test"}, Claim(host="app.test")),
        ({"VIRTUAL_HOST": '"App.Test"'}, Claim(host="app.test")),
        ({"VIRTUAL_HOST": "'*.app.test'"}, Claim(host="*.app.test")),
        ({"VIRTUAL_PORT": "8080"}, Claim(host="app.test", port=8080)),
        ({"VIRTUAL_PATH": "/api/"}, Claim(host="app.test", path="/api/")),
        (
            {"VIRTUAL_PATH": "/api/", "VIRTUAL_DEST": "/"},
            Claim(host="app.test", path="/api/", dest="/"),
        ),
        ({"VIRTUAL_PROTO": "HTTPS"}, Claim(host="app.test", proto=Proto.HTTPS)),
        ({"HTTPS_METHOD": "nohttp"}, Claim(host="app.test", method=Method.NOHTTP)),
        ({"CERT_NAME": "shared"}, Claim(host="app.test", certificate="shared")),
    ],
)
def test_variables_say_what_is_wanted(variables: dict[str, str], claim: Claim) -> None:
    one = replace(container(), environment={"VIRTUAL_HOST": "app.test", **variables})
    assert wanted(one) == [claim]


def test_several_hosts_are_several_sites() -> None:
    found = wanted(container(VIRTUAL_HOST="a.test, b.test,,'c.test'"))
    assert [claim.host for claim in found] == ["a.test", "b.test", "c.test"]


def test_labels_win() -> None:
    labels = {
        "ha.host": "label.test",
        "ha.port": "81",
        "ha.path": "/l",
        "ha.dest": "/d",
        "ha.proto": "https",
    }
    one = container(
        labels=labels,
        VIRTUAL_HOST="variable.test",
        VIRTUAL_PORT="82",
        VIRTUAL_HOST_MULTIPORTS="other.test: {}",
    )
    assert wanted(one) == [
        Claim(host="label.test", port=81, path="/l", dest="/d", proto=Proto.HTTPS)
    ]


@pytest.mark.parametrize(("exposed", "port"), [((), 80), ((3000,), 3000), ((1, 2), 80)])
def test_the_only_exposed_port_is_taken_or_80(exposed: tuple[int, ...], port: int) -> None:
    (claim,) = wanted(container(VIRTUAL_HOST="app.test", exposed=exposed))
    assert claim.port == port


def test_hosts_with_paths_and_ports_of_their_own() -> None:
    """The example of nginx-proxy's README."""
    text = """
    www.example.org:
    service.example.org:
      "/":
        port: 8000
      "/foo":
        port: 9000
        dest: "/"
        proto: https
    """
    one = container(VIRTUAL_HOST="not.this", VIRTUAL_HOST_MULTIPORTS=text, exposed=(3000,))
    assert wanted(one) == [
        Claim(host="www.example.org", port=3000),
        Claim(host="service.example.org", port=8000),
        Claim(host="service.example.org", path="/foo", dest="/", port=9000, proto=Proto.HTTPS),
    ]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"VIRTUAL_HOST": "~^app"}, "regular expressions are not supported"),
        ({"VIRTUAL_HOST": "www.example.*"}, "expected a host name"),
        ({"VIRTUAL_HOST": "_"}, "expected a host name"),
        ({"VIRTUAL_HOST": "a.test; } server {"}, "expected a host name"),
        ({"VIRTUAL_HOST": "x" * 9000}, "expected a host name"),
        ({"VIRTUAL_PORT": "http"}, "expected a port"),
        ({"VIRTUAL_PORT": "0"}, "expected a port"),
        ({"VIRTUAL_PORT": "65536"}, "expected a port"),
        ({"VIRTUAL_PATH": "~^/a"}, "only the beginning of a path"),
        ({"VIRTUAL_PATH": "/a b"}, "expected a path"),
        ({"VIRTUAL_PATH": "/../etc"}, "expected a path"),
        ({"VIRTUAL_PATH": "//"}, "expected a path"),
        ({"VIRTUAL_PATH": "/" + "a" * 200}, "expected a path"),
        ({"VIRTUAL_DEST": "/$host"}, "expected a path"),
        ({"VIRTUAL_DEST": "x"}, "expected a path"),
        ({"VIRTUAL_PROTO": "fastcgi"}, "expected http, https, grpc, grpcs"),
        ({"VIRTUAL_PROTO": "grpc", "VIRTUAL_DEST": "/"}, "gRPC paths cannot be rewritten"),
        ({"HTTPS_METHOD": "maybe"}, "expected redirect"),
        ({"CERT_NAME": "../../etc"}, "expected the name of a folder"),
        ({"CERT_NAME": "a\n"}, ""),
        ({"VIRTUAL_HOST_MULTIPORTS": "a: b: c"}, "not YAML"),
        ({"VIRTUAL_HOST_MULTIPORTS": "[" * 5000}, "not YAML"),
        ({"VIRTUAL_HOST_MULTIPORTS": "x" * 9000}, "longer than"),
        ({"VIRTUAL_HOST_MULTIPORTS": "just text"}, "expected host: "),
        ({"VIRTUAL_HOST_MULTIPORTS": "a.test: text"}, "expected path: "),
        ({"VIRTUAL_HOST_MULTIPORTS": "a.test: {/: {port: [1]}}"}, "a word or a number"),
        ({"VIRTUAL_HOST_MULTIPORTS": "a.test: {/: {prot: 1}}"}, "unknown: prot"),
        ({"VIRTUAL_HOST_MULTIPORTS": "'~a': {}"}, "regular expressions"),
        ({"VIRTUAL_HOST_MULTIPORTS": "a: {}", "CERT_NAME": "/"}, "name of a folder"),
    ],
)
def test_what_cannot_be_used_is_ignored_and_named(variables: dict[str, str], words: str) -> None:
    one = replace(container(), environment={"VIRTUAL_HOST": "app.test", **variables})
    if words:
        reason = ignored(one)
        assert words in reason
        assert len(reason) < 400
    else:
        assert wanted(one)


def test_one_wrong_host_does_not_stop_the_others() -> None:
    found, words = claims(container(VIRTUAL_HOST="~x,good.test"))
    assert [claim.host for claim in found] == ["good.test"]
    assert len(words) == 1


def test_references_in_yaml_do_not_grow() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{below}'] * 9)}]\n"
        for below, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    found, words = claims(container(VIRTUAL_HOST_MULTIPORTS=f"{bomb}x.test: {{/: {{dest: *i}}}}"))
    assert not found
    assert sum(len(word.reason) for word in words) < 10_000


@pytest.mark.parametrize(
    ("one", "place", "reason"),
    [
        (container(), "172.17.0.3:80", ""),
        (container(address="fd00:17::3"), "[fd00:17::3]:80", ""),
        (container(address=""), "", "on no network that this host reaches"),
        (container(address="10.9.9.9"), "", "on no network that this host reaches"),
        (container(address="", condition=Condition.STOPPED), "", ""),
        (container(host_network=True), "", "port 80 of the host is used by this node itself"),
    ],
)
def test_a_container_is_reached_where_the_host_reaches_it(
    one: Container, place: str, reason: str
) -> None:
    found, why = server(one, Claim(host="app.test"), AROUND)
    assert found == place
    assert reason in why
    assert bool(reason) == bool(why)


def test_on_the_hosts_network_it_is_reached_on_loopback() -> None:
    claim = Claim(host="app.test", port=3000)
    assert server(container(host_network=True), claim, AROUND) == ("127.0.0.1:3000", "")


def test_of_several_networks_the_first_of_the_host_is_taken() -> None:
    addresses = tuple(map(ip_address, ("10.9.9.9", "fd00:17::4", "172.17.0.9")))
    one = replace(container(), addresses=addresses)
    assert server(one, Claim(host="app.test"), AROUND) == ("172.17.0.9:80", "")
