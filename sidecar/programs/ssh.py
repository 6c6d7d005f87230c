"""ssh between the nodes: the files of both sides, our own sshd, the client that calls a peer."""

import hashlib
import logging
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

from sidecar.core.settings import Address, Identity
from sidecar.host import files
from sidecar.host.paths import Paths
from sidecar.host.supervise import Program
from sidecar.programs.limits import limited
from sidecar.programs.ssh_keys import Keys
from sidecar.programs.ssh_words import SshdLog

HOST_ALIAS: Final = "kiss-ha"
"""The name in known_hosts that stands for every node."""

LINK_COMMAND: Final = "link"
"""What `config/bin/peer` takes for the stream of states."""

CONNECT_TIMEOUT: Final = 2
"""Seconds that a peer has to answer a new connection."""

SHARED_SILENCE: Final = 8
"""Seconds without an answer after which a connection that is kept for bulk is given up."""

_PRIVILEGE_SEPARATION: Final = Path("/run/sshd")
"""Where sshd puts its unprivileged half; compiled in, and it must exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshFiles:
    """Where the files of both sides lie: a directory that only root can enter."""

    directory: Path

    @classmethod
    def below(cls, paths: Paths) -> "SshFiles":
        """Return the places of a node."""
        return cls(directory=paths.run / "ssh")

    @property
    def config(self) -> Path:
        """The configuration of sshd."""
        return self.directory / "sshd_config"

    @property
    def host_key(self) -> Path:
        """The private key of every node's sshd."""
        return self.directory / "host_key"

    @property
    def client_keys(self) -> tuple[Path, Path]:
        """The private keys of every node's client; the second one while the secret changes."""
        return self.directory / "client_key", self.directory / "former_client_key"

    @property
    def known_hosts(self) -> Path:
        """The public key of every node's sshd."""
        return self.directory / "known_hosts"

    @property
    def authorized_keys(self) -> Path:
        """The public key of every node's client, and all that it may do."""
        return self.directory / "authorized_keys"


def install(
    paths: Paths, identity: Identity, *, keys: Sequence[Keys], port: int, shown: int = 0
) -> None:
    """Write all files that sshd and the client need.

    All of the keys are taken from others, and offered to them; the host's key is one of them.
    """
    places = SshFiles.below(paths)
    places.directory.mkdir(parents=True, exist_ok=True)
    places.directory.chmod(0o700)
    for path, content in (
        *zip(places.client_keys, (one.client.private for one in keys), strict=False),
        (places.known_hosts, "".join(f"{HOST_ALIAS} {one.host.public}\n" for one in keys)),
        (places.authorized_keys, authorized_keys(keys, identity.peers, paths)),
        (places.config, sshd_config(places, identity.node, port)),
    ):
        files.write(path, content, mode=0o600)
    show(paths, keys[shown])


def show(paths: Paths, keys: Keys) -> None:
    """Let sshd have the host's key of these; it reads it at its start and after a SIGHUP."""
    files.write(SshFiles.below(paths).host_key, keys.host.private, mode=0o600)


def authorized_keys(keys: Sequence[Keys], peers: Sequence[Address], paths: Paths) -> str:
    """Return the lines that let the peers, and nobody else, start `peer` and nothing else."""
    sources = ",".join(str(peer) for peer in peers)
    command = f"{paths.programs}/peer {paths.run}"
    return "".join(
        f'restrict,from="{sources}",command="{command}" {one.client.public}\n' for one in keys
    )


def sshd_config(places: SshFiles, node: Address, port: int) -> str:
    """Return the configuration of our sshd, complete: nothing of /etc/ssh is read."""
    host = f"[{node}]" if node.version == 6 else str(node)
    return dedent(f"""\
        ListenAddress {host}:{port}
        HostKey {places.host_key}
        AuthorizedKeysFile {places.authorized_keys}
        PidFile none
        LogLevel INFO

        AllowUsers root
        AuthenticationMethods publickey
        PermitRootLogin forced-commands-only
        UsePAM no
        # /run may be a tmpfs that everybody can write to; the directory of the keys is not.
        StrictModes no

        DisableForwarding yes
        PermitTTY no
        PermitUserRC no
        PermitUserEnvironment no
        X11Forwarding no

        # Else a peer with a wrong secret is locked out for minutes after the secret is right.
        PerSourcePenalties no
        # Strangers take a few processes for some seconds; links that stand are not counted.
        MaxStartups 16:50:64
        PerSourceMaxStartups 8
        MaxAuthTries 3
        LoginGraceTime 10
        ClientAliveInterval 15
        UseDNS no
        """)


def sshd(paths: Paths) -> Program:
    """Return our sshd as a program to supervise; `install` comes first."""

    async def prepare() -> None:
        _PRIVILEGE_SEPARATION.mkdir(mode=0o755, parents=True, exist_ok=True)

    return Program(
        name="sshd",
        # By its absolute path, which it asks for since it starts itself again. The limits are for
        # what a peer starts here, too.
        command=lambda: limited(
            ["/usr/sbin/sshd", "-D", "-e", "-f", str(SshFiles.below(paths).config)]
        ),
        graces=((signal.SIGTERM, 2.0),),
        prepare=prepare,
        on_line=SshdLog(logging.getLogger("sshd")),
    )


def client_command(
    paths: Paths, *, node: Address, peer: Address, port: int, command: str
) -> list[str]:
    """Return the arguments that run `command` on `peer`, from the address of `node` alone."""
    return limited([*_client(paths, node, port), "--", str(peer), command])


def keeping_command(paths: Paths, *, node: Address, peer: Address, port: int) -> list[str]:
    """Return the arguments that keep a connection to `peer` for others to share; runs nothing.

    It stays in the foreground, so that it is our child and dies with us; a peer that is frozen or
    gone ends it after `SHARED_SILENCE` seconds.
    """
    options = {
        "ControlMaster": "yes",
        "ControlPath": str(control_socket(paths, peer, port)),
        "ControlPersist": "no",
        # It asks three times and then waits once more.
        "ServerAliveInterval": str(SHARED_SILENCE // 4),
        "SessionType": "none",
    }
    return limited([*_client(paths, node, port, **options), "--", str(peer)])


def sharing_command(paths: Paths, *, node: Address, peer: Address, port: int) -> list[str]:
    """Return ssh without host and command, over the connection that is kept if there is one."""
    options = {
        "ControlMaster": "no",
        "ControlPath": str(control_socket(paths, peer, port)),
    }
    return _client(paths, node, port, **options)


def control_socket(paths: Paths, peer: Address, port: int) -> Path:
    """Return where the connection to `peer` that is kept can be shared; `install` comes first.

    The name depends on the key too, else a connection of an older secret could be taken; and it is
    short, for ssh makes it with 17 more characters and a unix socket's path has at most 107.
    """
    places = SshFiles.below(paths)
    key = places.known_hosts.read_text()
    name = hashlib.sha256(f"{peer} {port} {key}".encode()).hexdigest()[:16]
    return places.directory / name


def _client(paths: Paths, node: Address, port: int, **more: str) -> list[str]:
    """Return the arguments of every client of ours, up to the host."""
    places = SshFiles.below(paths)
    options = {
        "BatchMode": "yes",
        "BindAddress": str(node),
        "ConnectTimeout": str(CONNECT_TIMEOUT),
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": HOST_ALIAS,
        "IdentitiesOnly": "yes",
        "Port": str(port),
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "User": "root",
        "UserKnownHostsFile": str(places.known_hosts),
        **more,
    }
    identities = [("IdentityFile", str(key)) for key in places.client_keys if key.exists()]
    given = (*options.items(), *identities)
    flags = [word for name, value in given for word in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "none", "-T", *flags]
