"""ssh between the nodes: the files of both sides, our own sshd, the client that calls a peer."""

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
from sidecar.programs import ssh_keys
from sidecar.programs.ssh_words import SshdLog

HOST_ALIAS: Final = "kiss-ha"
"""The name in known_hosts that stands for every node."""

LINK_COMMAND: Final = "link"
"""What `config/bin/peer` takes for the stream of states."""

CONNECT_TIMEOUT: Final = 2
"""Seconds that a peer has to answer a new connection."""

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
    def client_key(self) -> Path:
        """The private key of every node's client."""
        return self.directory / "client_key"

    @property
    def known_hosts(self) -> Path:
        """The public key of every node's sshd."""
        return self.directory / "known_hosts"

    @property
    def authorized_keys(self) -> Path:
        """The public key of every node's client, and all that it may do."""
        return self.directory / "authorized_keys"


def install(paths: Paths, identity: Identity, *, secret: str, port: int) -> None:
    """Derive the keys from `secret` and write all files that sshd and the client need."""
    places = SshFiles.below(paths)
    host = ssh_keys.derive(secret, ssh_keys.HOST)
    client = ssh_keys.derive(secret, ssh_keys.CLIENT)
    places.directory.mkdir(parents=True, exist_ok=True)
    places.directory.chmod(0o700)
    for path, content in (
        (places.host_key, host.private),
        (places.client_key, client.private),
        (places.known_hosts, f"{HOST_ALIAS} {host.public}\n"),
        (places.authorized_keys, authorized_keys(client.public, identity.peers, paths)),
        (places.config, sshd_config(places, identity.node, port)),
    ):
        files.write(path, content, mode=0o600)


def authorized_keys(public: str, peers: Sequence[Address], paths: Paths) -> str:
    """Return the line that lets the peers, and nobody else, start `peer` and nothing else."""
    sources = ",".join(str(peer) for peer in peers)
    command = f"{paths.programs}/peer {paths.run}"
    return f'restrict,from="{sources}",command="{command}" {public}\n'


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
        MaxAuthTries 3
        LoginGraceTime 15
        ClientAliveInterval 15
        UseDNS no
        """)


def sshd(paths: Paths) -> Program:
    """Return our sshd as a program to supervise; `install` comes first."""

    async def prepare() -> None:
        _PRIVILEGE_SEPARATION.mkdir(mode=0o755, parents=True, exist_ok=True)

    return Program(
        name="sshd",
        # By its absolute path, which it asks for since it starts itself again.
        command=lambda: ["/usr/sbin/sshd", "-D", "-e", "-f", str(SshFiles.below(paths).config)],
        graces=((signal.SIGTERM, 2.0),),
        prepare=prepare,
        on_line=SshdLog(logging.getLogger("sshd")),
    )


def client_command(
    paths: Paths, *, node: Address, peer: Address, port: int, command: str
) -> list[str]:
    """Return the arguments that run `command` on `peer`, from the address of `node` alone."""
    places = SshFiles.below(paths)
    options = {
        "BatchMode": "yes",
        "BindAddress": str(node),
        "ConnectTimeout": str(CONNECT_TIMEOUT),
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": HOST_ALIAS,
        "IdentitiesOnly": "yes",
        "IdentityFile": str(places.client_key),
        "Port": str(port),
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "User": "root",
        "UserKnownHostsFile": str(places.known_hosts),
    }
    flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "none", "-T", *flags, "--", str(peer), command]
