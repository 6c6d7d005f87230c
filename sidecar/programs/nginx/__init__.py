"""nginx: its files, its command line, verified reloads, and whether it answers."""

from sidecar.programs.nginx.certificates import candidates, certificates
from sidecar.programs.nginx.files import install_stock, remove_sockets, rendered
from sidecar.programs.nginx.probe import Answer, Probe
from sidecar.programs.nginx.program import Verdict, command, complaint, dump, verdict
from sidecar.programs.nginx.reload import Emergencies, reload

__all__ = [
    "Answer",
    "Emergencies",
    "Probe",
    "Verdict",
    "candidates",
    "certificates",
    "command",
    "complaint",
    "dump",
    "install_stock",
    "reload",
    "remove_sockets",
    "rendered",
    "verdict",
]
