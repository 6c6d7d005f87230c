import logging
from ipaddress import ip_address
from pathlib import Path

import pytest

from sidecar.host.paths import Paths
from sidecar.programs import ssh, ssh_keys
from sidecar.programs.ssh_words import REPEAT_AFTER, Failure, SshdLog, classify, explain

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        (
            (
                "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n"
                "Host key for kiss-ha has changed and you have requested strict checking.\n"
                "Host key verification failed."
            ),
            Failure.FOREIGN,
        ),
        ("root@192.0.2.12: Permission denied (publickey).", Failure.DENIED),
        ("ssh: connect to host 192.0.2.12 port 8730: Connection refused", Failure.REFUSED),
        ("ssh: connect to host 192.0.2.12 port 8730: Connection timed out", Failure.TIMEOUT),
        ("Connection timed out during banner exchange", Failure.TIMEOUT),
        ("ssh: connect to host 192.0.2.12 port 8730: No route to host", Failure.UNREACHABLE),
        ("ssh: connect to host 192.0.2.12 port 8730: Network is unreachable", Failure.UNREACHABLE),
        ("bind 192.0.2.11: Cannot assign requested address", Failure.OWN_ADDRESS),
        (
            (
                "kex_exchange_identification: Connection closed by remote host\n"
                "Connection closed by 192.0.2.12 port 8730"
            ),
            Failure.BROKEN,
        ),
        ("Connection reset by 192.0.2.12 port 8730", Failure.BROKEN),
        ("client_loop: send disconnect: Broken pipe", Failure.BROKEN),
        ("Timeout, server 192.0.2.12 not responding.", Failure.BROKEN),
        (
            (
                '2026/11/23 13:06:12 socat[26] E connect(, AF=1 "/run/ha/link/a.sock", 43): '
                "Connection refused"
            ),
            Failure.NOT_READY,
        ),
        ("Bad configuration option: x", Failure.OTHER),
    ],
)
def test_what_ssh_says_is_understood(said: str, failure: Failure) -> None:
    assert classify(said) is failure


def test_an_explanation_has_the_last_words_of_ssh() -> None:
    lines = ("something else", "ssh: connect to host 192.0.2.12 port 8730: Connection refused\r")
    assert explain(lines) == f"{Failure.REFUSED.value} ({lines[1].strip()})"
    assert not explain(())


def test_an_explanation_is_the_same_for_each_try() -> None:
    tries = [f"2026/11/23 13:06:1{n} socat[{n}] E connect(): No such file" for n in range(2)]
    assert explain(tries[:1]) == explain(tries[1:])


def test_keys_depend_on_the_secret_and_the_purpose_alone() -> None:
    public = {
        ssh_keys.derive(secret, purpose).public
        for secret in (SECRET, SECRET + "0")
        for purpose in (ssh_keys.CLIENT, ssh_keys.HOST)
        for _ in range(2)
    }
    assert len(public) == 4
    assert all(key.startswith("ssh-ed25519 ") for key in public)


def test_the_key_of_a_secret_never_changes_between_releases() -> None:
    # Else the nodes cannot talk while the pair is upgraded one by one.
    assert ssh_keys.derive(SECRET, ssh_keys.CLIENT).public == (
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEx1NL5MM8RcalrgaOAuJ4B/cHOg+dSf6i6WxU77vVY8"
    )
    assert ssh_keys.derive(SECRET, ssh_keys.HOST).public == (
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMQPTGq5efxKyOf2npPv6S+onNsALt7XlkiMQkh9jeIp"
    )


def test_a_private_key_does_not_show_in_a_repr() -> None:
    pair = ssh_keys.derive(SECRET, ssh_keys.CLIENT)
    assert pair.private.splitlines()[1] not in repr(pair)


def test_the_peers_may_start_one_program() -> None:
    peers = (ip_address("192.0.2.12"), ip_address("2001:db8::13"))
    found = [ssh_keys.keys(SECRET), ssh_keys.keys(SECRET + "of before")]
    restrict = 'restrict,from="192.0.2.12,2001:db8::13",command="/usr/lib/kiss-ha/peer /run/ha" '
    assert ssh.authorized_keys(found, peers, Paths()).splitlines() == [
        restrict + one.client.public for one in found
    ]


@pytest.mark.parametrize(
    ("node", "line"),
    [
        ("192.0.2.11", "ListenAddress 192.0.2.11:8730"),
        ("2001:db8::11", "ListenAddress [2001:db8::11]:8730"),
    ],
)
def test_sshd_listens_on_the_nodes_address_alone(node: str, line: str) -> None:
    config = ssh.sshd_config(ssh.SshFiles.below(Paths()), ip_address(node), 8730)
    assert [text for text in config.splitlines() if text.startswith("Listen")] == [line]


def test_a_call_leaves_from_the_nodes_address() -> None:
    node, peer = ip_address("192.0.2.11"), ip_address("192.0.2.12")
    command = ssh.client_command(
        Paths(run=Path("/r")), node=node, peer=peer, port=1, command="link"
    )
    assert command[0] == "prlimit"
    assert command[4:7] == ["ssh", "-F", "none"]
    assert "BindAddress=192.0.2.11" in command
    assert command[-3:] == ["--", "192.0.2.12", "link"]


def test_the_log_of_sshd_repeats_itself_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    log = SshdLog(logging.getLogger("test"), clock=lambda: now)
    caplog.set_level(logging.INFO)

    def count() -> int:
        return len(caplog.records)

    refused = "Connection closed by authenticating user root 192.0.2.9 port {} [preauth]"
    log(refused.format(1))
    log(refused.format(2))
    assert count() == 1
    log(refused.format(3).replace("192.0.2.9", "192.0.2.8"))
    assert count() == 2
    now = REPEAT_AFTER
    log(refused.format(4))
    assert count() == 3
    log("Accepted publickey for root from 192.0.2.12 port 4 ssh2: ED25519 SHA256:x")
    log("Connection closed by 192.0.2.12 port 5 [preauth]")
    assert count() == 3
