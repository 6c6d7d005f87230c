"""The rendered file with the sites of containers, which nginx may refuse.

Every value in it was checked, so that is rare: another program holds a port, a name is too long.
Then nginx keeps the last file that it accepted, and whatever else has changed is loaded.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidecar.core.containers.fleet import Taken
from sidecar.core.containers.plan import Fleet, certificate_names, unsecured
from sidecar.core.nginx import Named
from sidecar.core.settings import Settings
from sidecar.host.paths import Paths
from sidecar.programs import nginx

if TYPE_CHECKING:
    from sidecar.core.report import Validity

log = logging.getLogger("containers")

_NOTHING: Final = "# nginx has not accepted the sites of containers yet.\n"


class ContainersFile:
    """Renders the file. Given: the settings, the paths, and which containers to serve."""

    def __init__(self, settings: Settings, paths: Paths, fleet: Callable[[], Fleet | None]) -> None:
        self._paths, self._fleet = paths, fleet
        self._site_hosts = frozenset(site.host for site in settings.sites)
        self.path = paths.run / "nginx" / nginx.CONTAINERS
        self.known: Mapping[str, Validity] = {}
        """The certificates below the folders, by path."""
        self.certificates: Mapping[str, str] = {}
        """The directory of the certificate of each host, as last looked at."""
        self.ignored: frozenset[str] = frozenset()
        """What containers ask of nginx and do not get, and why."""
        self.error = ""
        """Why nginx refuses the file; empty if it does not."""
        self._made: tuple[Fleet, Mapping[str, str], str] | None = None
        """What the last text was made of, and the text."""
        self._accepted = _NOTHING
        self._suspended: Fleet | None = None

    def taken(self, named: Named) -> Taken:
        """Return the hosts that containers cannot have, now that nginx has read all this."""
        files = frozenset(server.host for server in named.servers)
        return Taken(files=files, sites=self._site_hosts, longest=named.longest_server)

    def rendered(self) -> dict[Path, str]:
        """Return the file that nginx shall read, if containers are served at all. Blocks."""
        if (fleet := self._fleet()) is None:
            return {}
        if fleet is self._suspended:
            return {self.path: self._accepted}
        names = certificate_names(fleet.sites)
        certificates = nginx.by_host(self._paths.nginx, names, self.known)
        made = self._made
        if made is None or made[0] is not fleet or made[1] != certificates:
            text = nginx.rendered_containers(fleet, self._paths, certificates)
            self._made = made = fleet, certificates, text
            self._note(frozenset(map(str, unsecured(fleet.sites, certificates))))
        self.certificates = certificates
        return {self.path: made[2]}

    def _note(self, ignored: frozenset[str]) -> None:
        for one in sorted(ignored - self.ignored):
            log.warning("ignored: %s", one)
        self.ignored = ignored

    def accept(self, rendered: Mapping[Path, str]) -> None:
        """Remember the text that nginx has loaded."""
        self._accepted = rendered.get(self.path, self._accepted)
        if self._suspended is None or self._suspended is not self._fleet():
            self._suspended, self.error = None, ""

    def suspend(self, rendered: Mapping[Path, str], error: str) -> bool:
        """Go back to the last accepted text, as nginx refuses something that may be in this one.

        Return whether the two differ at all. Blocks.
        """
        if rendered.get(self.path, self._accepted) == self._accepted:
            return False
        if self._accepted == _NOTHING:  # a reload that fails leaves sockets that nobody listens at
            for socket in self._paths.relay_sockets.glob("*.sock"):
                socket.unlink(missing_ok=True)
        self._suspended, self.error = self._fleet(), error
        return True

    def resume(self) -> None:
        """Render the current text again, after `suspend`."""
        self._suspended, self.error = None, ""
