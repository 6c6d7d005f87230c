"""`ha sites`: what is served, and by whom."""

from sidecar.commands.context import Context
from sidecar.commands.status import ask, style
from sidecar.core.show.sites import sites_text
from sidecar.errors import ExitCode
from sidecar.programs import nginx


def run(context: Context) -> int:
    """Print a line for each site of a person's own files, of HA_SITES and of containers."""
    report, sites = ask(context.control()), context.loaded().settings.sites
    certificates = nginx.certificate_directories(context.paths.nginx, sites)
    print(sites_text(report, sites, certificates, style()))
    return ExitCode.DONE
