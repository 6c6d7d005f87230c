"""`ha render`: what would be written for the programs, without starting anything."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from sidecar.commands.context import Context
from sidecar.core.settings import Identity, Settings
from sidecar.daemon.startup import identify
from sidecar.errors import ExitCode
from sidecar.host import capabilities
from sidecar.host.network import Network
from sidecar.host.paths import Paths
from sidecar.programs import keepalived, nginx, ssh


def run(context: Context) -> int:
    """Print every rendered file, each under its path; secrets are not among them."""
    settings, paths = context.loaded().settings, context.paths
    identity = asyncio.run(_identify(settings))
    for path, text in rendered(settings, identity, paths).items():
        print(f"# {path}\n{text}")
    return ExitCode.DONE


def rendered(settings: Settings, identity: Identity, paths: Paths) -> Mapping[Path, str]:
    """Return the files by path."""
    files = {
        keepalived.Files.below(paths.run).config: keepalived.render(
            settings,
            identity,
            paths,
            identity.interface,
            real_time=capabilities.may_run_in_real_time(),
        ),
        ssh.SshFiles.below(paths).config: ssh.sshd_config(
            ssh.SshFiles.below(paths), identity.node, settings.link_port
        ),
    }
    if settings.nginx:
        files |= nginx.rendered(settings, paths)
    return files


async def _identify(settings: Settings) -> Identity:
    async with Network() as network:
        return await identify(settings, network)
