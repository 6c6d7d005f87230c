"""What is secret in a file: all of it, by its name or its content, or the value in a line.

A name or a form that is taken for secret and is not costs a person a look at the file itself; the
other way round costs a password. So in doubt it is secret.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, Final

HIDDEN: Final = "(secret)"
"""Stands for a value in a line."""

_NAMES: Final = (
    *("privkey*", "private_key*", "*.key", "*-key.pem", "*_key.pem", "*.priv", "id_rsa", "id_dsa"),
    *("id_ecdsa", "id_ed25519", "*.ppk", "*.p8", "*.pk8", "*.p12", "*.pfx", "*.jks", "*.keystore"),
    *("*htpasswd*", "*htdigest*", "*passwd*", "*password*", "*passphrase*", "*.pass", "*.pwd"),
    *("*secret*", "*credential*", "*.token", "*.kdbx", "*.tkey", "*ticket*.key"),
    *(".env", ".env.*", "*.env", ".netrc", ".pgpass", ".my.cnf", ".git-credentials"),
)
"""Usual names of files with secrets, in lower case."""

_DIRECTORIES: Final = frozenset({"accounts", "secrets", ".secrets", ".ssh"})
"""Usual names of directories with secrets: `accounts` is certbot's."""

_MARKERS: Final = (b"PRIVATE KEY", b"PuTTY-User-Key-File", b"AGE-SECRET-KEY-", b"openssh-key-v1")
_MAGIC: Final = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
"""First bytes of Java's key stores."""

_HASH: Final = re.compile(
    rb"""^[^:\s\#](?:
        [^:\n]*:\$[0-9a-z]+\$                        # crypt(5): $1$, $5$, $6$, $2y$, $y$, $apr1$
      | [^:\n]*:\{[A-Z0-9-]+\}                       # {SHA}, {SSHA}, {PLAIN}
      | [^:\s]*:(?!//)[./0-9A-Za-z]{13}(?=[:\s]|\Z)  # DES
      | [^:\n]*:[^:\n]*:[0-9a-f]{32}\s*$             # htdigest
    )""",
    re.MULTILINE | re.VERBOSE,
)
"""A line of a file for auth_basic_user_file, and of its relatives."""

_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of a JWK that only the owner of a private or symmetric key has (RFC 7518 §6)."""

_INTEGER, _OCTETS, _OID, _SEQUENCE = 0x02, 0x04, 0x06, 0x30
_PKCS5: Final = bytes.fromhex("2a864886f70d0105")
_PKCS12_PBE: Final = bytes.fromhex("2a864886f70d010c01")

_WORD: Final = (
    r"[\w.-]*(?:passw(?:or)?d|passwd|passphrase|secret|token|api[_-]?key|apikey|private[_-]?key"
    r"|access[_-]?key|preshared[_-]?key|psk|credentials?|authorization|auth[_-]key|secure_link_md5)"
    r"[\w.-]*"
)
_URL: Final = re.compile(
    r"(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s/@:'\"]*:)[^\s'\"/]+(?=@)", re.IGNORECASE
)
_SCHEME: Final = re.compile(
    r"(?P<keep>\b(?:basic|bearer|digest|negotiate)\s+)[\w+/=.~-]{6,}", re.IGNORECASE
)
_VALUE: Final = re.compile(
    rf"(?P<keep>(?<![\w$])\$?['\"]?{_WORD}['\"]?(?:\s*[!:=~*]+\s*|\s+(?:is\s+)?))"
    r"(?P<value>\"[^\"]*\"?|'[^']*'?|[^\s;,}]+)",
    re.IGNORECASE,
)
_FILE: Final = re.compile(
    r"['\"]?(?:/|\./|\.\./)?[\w.@{}$-]*(?:/[\w.@{}$-]+)+['\"]?|on|off|build", re.IGNORECASE
)
"""What names a file, or turns something on, is no secret: ssl_password_file /etc/…"""

_VARIABLE: Final = re.compile(r"['\"]?\$(?:\w+|\{\w+\})['\"]?")


def secret_file(path: str, *contents: bytes) -> str:
    """Return why a file with these contents, before and after, is secret; nothing if it is not."""
    *directories, name = path.lower().split("/")
    if any(fnmatchcase(name, pattern) for pattern in _NAMES):
        return "by its name"
    if _DIRECTORIES.intersection(directories):
        return "by its directory"
    return next(filter(None, map(_secret_content, contents)), "")


def mask(line: str) -> str:
    """Return a line of text without the passwords, tokens and credentials in it."""
    for pattern in (_URL, _SCHEME):
        line = pattern.sub(rf"\g<keep>{HIDDEN}", line)
    return _VALUE.sub(_masked, line)


def _masked(found: re.Match[str]) -> str:
    value = found["value"]
    if _FILE.fullmatch(value) or _VARIABLE.fullmatch(value) or value in ("{", '""', "''"):
        return found[0]
    return f"{found['keep']}{HIDDEN}"


def _secret_content(content: bytes) -> str:
    if any(marker in content for marker in _MARKERS) or content.startswith(_MAGIC):
        return "a private key"
    if _HASH.search(content):
        return "password hashes"
    if _is_key(content) or _is_key(_decoded(content)):
        return "a private key"
    if any(_is_jwk(value) for value in _objects(content)):
        return "a private key"
    return ""


def _decoded(content: bytes) -> bytes:
    """Return what a text of Base64 alone stands for, else nothing."""
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        return b""


def _is_key(content: bytes) -> bool:
    """Tell whether bytes have the structure of a private key in DER.

    PKCS#1, PKCS#8, SEC 1 and PKCS#12 are a sequence that begins with a version; an encrypted PKCS#8
    one begins with an algorithm of PKCS#5 or PKCS#12. A certificate begins with a sequence too, but
    of something else, and a public key's algorithm is no such one.
    """
    tag, inside, end = _element(content, 0)
    if tag != _SEQUENCE or end < len(content.rstrip(b"\r\n\0")):
        return False
    tag, start, end = _element(content, inside)
    if tag == _INTEGER and end - start == 1:
        return content[start] <= 3 and _element(content, end)[0] in (_INTEGER, _OCTETS, _SEQUENCE)
    tag, start, end = _element(content, start) if tag == _SEQUENCE else (0, 0, 0)
    return tag == _OID and content[start:end].startswith((_PKCS5, _PKCS12_PBE))


def _element(content: bytes, at: int) -> tuple[int, int, int]:
    """Return tag, start and end of the DER element at a position; zeros where there is none."""
    if at + 2 > len(content):
        return 0, 0, 0
    tag, length, start = content[at], content[at + 1], at + 2
    if length > 0x80:
        count = length - 0x80
        length = int.from_bytes(content[start : start + count])
        start += count
    return (tag, start, start + length) if start + length <= len(content) else (0, 0, 0)


def _objects(content: bytes) -> Iterable[Any]:
    """Give every object of a JSON text, however deep; none where it is something else."""
    try:
        waiting = [json.loads(content)]
    except (ValueError, RecursionError):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _is_jwk(value: dict[str, Any]) -> bool:
    return "kty" in value and not _PRIVATE_MEMBERS.isdisjoint(value)
