"""Parsers of the values that describe a site: what they accept cannot contain nginx syntax.

The values come from containers, here or on a peer, so none is trusted. Each function returns the
parsed value, or raises a ValueError that says what is allowed.
"""

import re
from enum import StrEnum
from typing import Final

from sidecar.core.hostname import is_hostname

ROOT: Final = "/"

# No `%`: nginx compares with the decoded path. No `.` and `..` segments: it resolves those.
_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*/?")
_MOST_PATH: Final = 200
_CERTIFICATE: Final = re.compile(r"(?:\*\.)?[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


class Proto(StrEnum):
    """What a container speaks."""

    HTTP = "http"
    HTTPS = "https"
    GRPC = "grpc"
    GRPCS = "grpcs"

    @property
    def grpc(self) -> bool:
        """It is gRPC, which needs HTTP/2 on the whole way."""
        return self in (Proto.GRPC, Proto.GRPCS)

    @property
    def tls(self) -> bool:
        """The container expects TLS."""
        return self in (Proto.HTTPS, Proto.GRPCS)


class Method(StrEnum):
    """What port 80 does for a host that has a certificate."""

    REDIRECT = "redirect"
    NOREDIRECT = "noredirect"
    NOHTTP = "nohttp"
    NOHTTPS = "nohttps"


def unquoted(text: str) -> str:
    """Return a value without blanks and quotes around it; a list in YAML leaves the quotes there.

    A text of several lines is YAML itself, so its first line keeps its indentation.
    """
    bare = text.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        text = bare[1:-1]
    return text.strip("\r\n") if "\n" in text.strip() else text.strip()


def host(text: str) -> str:
    """Return a host name, or `*.` and one, in lower case."""
    if text.startswith("~"):
        raise ValueError("regular expressions are not supported: name each host, or *.example.com")
    if not is_hostname(text.removeprefix("*.")) or text == "_":
        raise ValueError("expected a host name such as app.example.com or *.example.com")
    return text.lower()


def port(text: str) -> int:
    """Return the number of a port."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError("expected a port from 1 to 65535")
    return int(text)


def path(text: str) -> str:
    """Return the prefix of paths that a site has; `/` if none is given."""
    if text.startswith(("~", "=", "^", "@")):
        raise ValueError("only the beginning of a path is supported, such as /app/")
    return _plain_path(text or ROOT)


def dest(text: str) -> str:
    """Return what replaces the path; empty if nothing is given."""
    return _plain_path(text) if text else ""


def proto(text: str) -> Proto:
    """Return what the container speaks; http if nothing is given."""
    return _choice(Proto, text, Proto.HTTP)


def method(text: str) -> Method:
    """Return what port 80 does; it redirects if nothing is given."""
    return _choice(Method, text, Method.REDIRECT)


def certificate(text: str) -> str:
    """Return the name of a folder in certs/; empty if nothing is given."""
    if text and not _CERTIFICATE.fullmatch(text):
        raise ValueError("expected the name of a folder in certs/")
    return text


def _plain_path(text: str) -> str:
    if not text.startswith(ROOT) or len(text) > _MOST_PATH or not _PATH.fullmatch(text):
        raise ValueError(
            f"expected a path of at most {_MOST_PATH} letters, digits and ._~-/ that begins with /"
        )
    return text


def _choice[T: StrEnum](words: type[T], text: str, default: T) -> T:
    try:
        return words(text.lower()) if text else default
    except ValueError:
        raise ValueError(f"expected {', '.join(words)}") from None
