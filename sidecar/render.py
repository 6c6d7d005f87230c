"""`ha render`: what would be written for the programs, without starting anything."""

import asyncio
from collections.abc import Iterator

from sidecar.core.settings import Identity, Settings
from sidecar.host.network import Network
from sidecar.host.paths import Paths
from sidecar.programs import keepalived, nginx, ssh
from sidecar.settings.load import Loaded
from sidecar.startup import identify


def render(loaded: Loaded) -> Iterator[str]:
    """Give every rendered file, each under its path; secrets are not among them."""
    settings, paths = loaded.settings, Paths()
    identity = asyncio.run(_identify(settings))
    files = {
        keepalived.Files.below(paths.run).config: keepalived.render(
            settings, identity, paths, identity.interface
        ),
        ssh.SshFiles.below(paths).config: ssh.sshd_config(
            ssh.SshFiles.below(paths), identity.node, settings.link_port
        ),
    }
    if settings.nginx:
        files |= nginx.rendered(settings, paths)
    for path, text in files.items():
        yield f"# {path}\n{text}"


async def _identify(settings: Settings) -> Identity:
    async with Network() as network:
        return await identify(settings, network)
