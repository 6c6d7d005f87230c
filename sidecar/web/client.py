"""The command line's side of the control socket."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any, override

from sidecar.commands.table import Command
from sidecar.errors import RefusedError, SidecarError


class Control:
    """Asks the daemon that listens on `path`; waits at most `timeout` seconds for each answer.

    Without a daemon, or without an answer, everything raises RefusedError.
    """

    def __init__(self, path: Path, *, timeout: float) -> None:
        self._path = path
        self._timeout = timeout

    def ready(self) -> tuple[bool, str]:
        """Return whether the node could serve, and its standing or why not in words."""
        status, body = self._ask("GET", "/readyz")
        return status == HTTPStatus.OK, body.strip()

    def status(self) -> str:
        """Return the JSON text of the report."""
        status, body = self._ask("GET", "/api/v1/status")
        if status != HTTPStatus.OK:
            raise SidecarError(f"cannot get the status: HTTP {status}", _SEE_LOG)
        return body

    def order(self, command: Command, given: Mapping[str, object]) -> str:
        """Let the node carry out a command and return the text to print.

        Raise RefusedError if the answer is no, SidecarError if it failed.
        """
        status, body = self._ask("POST", command.route, json.dumps(given))
        answer = _object(body)
        message = str(answer.get("message") or f"cannot {command.name}: HTTP {status}")
        if status == HTTPStatus.OK:
            return message
        hint = str(answer.get("hint", _SEE_LOG))
        raise (RefusedError if status == HTTPStatus.CONFLICT else SidecarError)(message, hint)

    def _ask(self, method: str, target: str, given: str | None = None) -> tuple[int, str]:
        connection = _UnixConnection(self._path, self._timeout)
        try:
            connection.request(method, target, given)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (FileNotFoundError, ConnectionRefusedError):
            raise RefusedError(
                "cannot reach the daemon: it is not running here",
                "start it with `docker compose up -d`; if it exits again, `docker compose logs` "
                "tells why",
            ) from None
        except TimeoutError:
            raise RefusedError(
                f"cannot reach the daemon: no answer within {self._timeout:g} s", _SEE_LOG
            ) from None
        except (OSError, HTTPException) as error:
            raise RefusedError(f"cannot reach the daemon: {error!r}", _SEE_LOG) from error
        finally:
            connection.close()


_SEE_LOG = "its log may say more: `docker compose logs`"


class _UnixConnection(HTTPConnection):
    """An HTTP connection whose other end is a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    @override
    def connect(self) -> None:
        self.sock = socket(AF_UNIX, SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
