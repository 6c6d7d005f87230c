"""nginx: its files, its command line, verified reloads, and whether it answers."""

from sidecar.programs.nginx.certificates import certificates
from sidecar.programs.nginx.files import install_stock, remove_sockets, rendered
from sidecar.programs.nginx.probe import Answer, Probe
from sidecar.programs.nginx.program import command, complaint, dump
from sidecar.programs.nginx.reload import Emergencies, reload

__all__ = [
    "Answer",
    "Emergencies",
    "Probe",
    "certificates",
    "command",
    "complaint",
    "dump",
    "install_stock",
    "reload",
    "remove_sockets",
    "rendered",
]
