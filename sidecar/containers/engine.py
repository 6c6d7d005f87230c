"""Asks Docker for containers. Everything here blocks: call it in a thread.

An `Engine` is for one thread at a time, and `Events` needs one for as long as it lasts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from docker import APIClient
from docker.errors import DockerException, NotFound
from requests import RequestException

from sidecar.core.containers.container import Condition, Container
from sidecar.core.settings import Address
from sidecar.errors import MachineError

if TYPE_CHECKING:
    from docker.types import CancellableStream

_WITHIN: Final = 10
"""Seconds for one answer."""

_EVENTS: Final = {
    "type": ["container", "network"],
    "event": [
        *("start", "die", "destroy", "pause", "unpause", "rename", "health_status"),
        *("connect", "disconnect"),
    ],
}
"""Events that may change a container as we see it; not each run of a HEALTHCHECK, for example."""

_HINT: Final = "mount Docker's socket, or set DOCKER_HOST; see docs/containers.md"


class Engine:
    """A connection to Docker, made when it is first needed.

    Given: DOCKER_HOST, and filters as `docker ps --filter` takes them.
    """

    def __init__(self, host: str, filters: Sequence[str] = ()) -> None:
        self._host = host
        self._filters: dict[str, list[str]] = {}
        for item in filters:
            key, _, value = item.partition("=")
            self._filters.setdefault(key, []).append(value)
        self._client: APIClient | None = None
        self._others: frozenset[str] = frozenset()
        """Ids of containers without a site: as variables and labels never change, they stay so."""

    def all(self) -> dict[str, Container]:
        """Return every container that wants a site, by id; raise MachineError."""
        with self._asking() as client:
            found = {}
            ids = [raw["Id"] for raw in client.containers(all=True, filters=self._filters)]
            self._others &= frozenset(ids)
            for one in ids:
                if one not in self._others and (container := self._look(client, one)):
                    found[one] = container
            return found

    def one(self, container: str) -> Container | None:
        """Return the container with an id, if it is there and wants a site; raise MachineError."""
        if container in self._others:
            return None
        with self._asking() as client:
            filters = {**self._filters, "id": [container]}
            listed = client.containers(all=True, filters=filters)
            return self._look(client, container) if listed else None

    def close(self) -> None:
        """Close the connection; the next question makes another one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def events(self) -> "Events":
        """Return a stream of the events from now on, on a connection of its own."""
        with _machine_errors(self._host):
            client = _connect(self._host)
            try:
                return Events(client, client.events(filters=_EVENTS, decode=True))
            except BaseException:
                client.close()
                raise

    @contextmanager
    def _asking(self) -> Iterator[APIClient]:
        try:
            with _machine_errors(self._host):
                self._client = self._client or _connect(self._host)
                yield self._client
        except MachineError:
            self.close()
            raise

    def _look(self, client: APIClient, container: str) -> Container | None:
        with suppress(NotFound):  # it has gone since
            raw = client.inspect_container(container)
            if not _wants_a_site(raw):
                self._others |= {container}
                return None
            mode = str(raw["HostConfig"].get("NetworkMode", ""))
            of = raw
            if mode.startswith("container:"):
                of = client.inspect_container(mode.removeprefix("container:"))
            return _container(raw, network_of=of)
        return None


class Events:
    """A stream of events that lasts until Docker ends it or it is closed."""

    def __init__(self, client: APIClient, stream: "CancellableStream[dict[str, Any]]") -> None:
        self._client, self._stream = client, stream

    def follow(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with the container's id for each event; return when the stream ends."""
        with suppress(DockerException, RequestException, OSError, ValueError, AttributeError):
            for event in self._stream:
                actor = event.get("Actor", {})
                of_network = event.get("Type") == "network"
                tell(
                    str(actor.get("Attributes", {}).get("container") if of_network else actor["ID"])
                )

    def close(self) -> None:
        """End the stream; this may be called from another thread."""
        with suppress(DockerException, RequestException, OSError, AttributeError):
            self._stream.close()
        self._client.close()


def _connect(host: str) -> APIClient:
    """Return a client with the newest version of the API that both sides know."""
    return APIClient(base_url=host, version="auto", timeout=_WITHIN)


@contextmanager
def _machine_errors(host: str) -> Iterator[None]:
    """Raise MachineError for whatever goes wrong within the block, except NotFound."""
    try:
        yield
    except NotFound:
        raise
    except (DockerException, RequestException, OSError, ValueError, LookupError) as error:
        cause: BaseException = error
        while inner := cause.__cause__ or cause.__context__:
            cause = inner
        words = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        raise MachineError(f"cannot ask Docker at {host}: {words}", _HINT) from error


def _wants_a_site(raw: Mapping[str, Any]) -> bool:
    config = raw["Config"]
    variables = ("VIRTUAL_HOST=", "VIRTUAL_HOST_MULTIPORTS=")
    labelled = "ha.host" in (config.get("Labels") or {})
    return labelled or any(one.startswith(variables) for one in config.get("Env") or ())


def _container(raw: Mapping[str, Any], *, network_of: Mapping[str, Any]) -> Container:
    config = raw["Config"]
    variables = (one.partition("=") for one in config.get("Env") or ())
    return Container(
        name=str(raw["Name"]).removeprefix("/"),
        condition=_condition(raw["State"]),
        created=str(raw.get("Created", "")),
        environment={name: value for name, _, value in variables},
        labels=config.get("Labels") or {},
        exposed=_exposed(config),
        addresses=tuple(_addresses(network_of)),
        host_network=network_of["HostConfig"].get("NetworkMode") == "host",
    )


def _condition(state: Mapping[str, Any]) -> Condition:
    match state.get("Status"), (state.get("Health") or {}).get("Status"):
        case "running", "starting":
            return Condition.STARTING
        case "running", "unhealthy":
            return Condition.UNHEALTHY
        case "running", _:
            return Condition.UP
        case "paused", _:
            return Condition.PAUSED
        case _:
            return Condition.STOPPED


def _exposed(config: Mapping[str, Any]) -> tuple[int, ...]:
    ports = (port.partition("/") for port in config.get("ExposedPorts") or ())
    return tuple(sorted(int(number) for number, _, kind in ports if kind == "tcp"))


def _addresses(raw: Mapping[str, Any]) -> Iterator[Address]:
    """Give the addresses on each network, by its name; IPv4 first."""
    networks = (raw.get("NetworkSettings") or {}).get("Networks") or {}
    for key in ("IPAddress", "GlobalIPv6Address"):
        for name in sorted(networks):
            with suppress(ValueError):
                yield ip_address(networks[name].get(key) or "")
