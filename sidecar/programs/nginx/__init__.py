"""nginx: its files, its command line, verified reloads, and whether it answers."""

from sidecar.programs.nginx.certificates import candidates, certificates
from sidecar.programs.nginx.files import (
    CONTAINERS,
    certificate_directories,
    install_stock,
    remove_sockets,
    rendered,
    rendered_containers,
)
from sidecar.programs.nginx.hosts import by_host
from sidecar.programs.nginx.probe import Answer, Probe
from sidecar.programs.nginx.program import Verdict, command, dump, verdict
from sidecar.programs.nginx.reload import Emergencies, reload

__all__ = [
    "CONTAINERS",
    "Answer",
    "Emergencies",
    "Probe",
    "Verdict",
    "by_host",
    "candidates",
    "certificate_directories",
    "certificates",
    "command",
    "dump",
    "install_stock",
    "reload",
    "remove_sockets",
    "rendered",
    "rendered_containers",
    "verdict",
]
