"""Where in a configuration the cause of a complaint stands, when nginx does not say."""

import re
from collections.abc import Iterable
from typing import Final

_HAS_PLACE: Final = re.compile(r" in /\S+:\d+$")
_VARIABLE: Final = re.compile(r'unknown "(\w+)" variable')
_ADDRESS: Final = re.compile(r"bind\(\) to \S*:(\d+) failed")
_QUOTED: Final = re.compile(r'"([^"]+)"')


def locate(complaint: str, files: Iterable[tuple[str, str]]) -> str:
    """Return `complaint` with the file and line that it is about, as ` in FILE:LINE`.

    Given: path and text of the files. A complaint that has a place, or whose cause cannot be
    found, stays as it is.
    """
    wanted = None if _HAS_PLACE.search(complaint) else _cause(complaint)
    if wanted is None:
        return complaint
    for path, text in files:
        for number, line in enumerate(text.splitlines(), start=1):
            if wanted.search(re.sub(r"(?:^|\s)#.*", "", line)):
                return f"{complaint} in {path}:{number}"
    return complaint


def _cause(complaint: str) -> re.Pattern[str] | None:
    """Return what to look for; None where nothing in a file can be the cause."""
    if variable := _VARIABLE.search(complaint):
        return re.compile(rf"\$(?:{variable[1]}\b|\{{{variable[1]}\}})")
    if address := _ADDRESS.search(complaint):
        return re.compile(rf"\blisten\s+(?:\S*:)?{address[1]}[\s;]")
    if quoted := _QUOTED.search(complaint):
        name = re.escape(_as_written(quoted[1]))
        return re.compile(rf"(?:^|[\s\"'/:=]){name}(?:$|[\s\"';])")
    return None


def _as_written(name: str) -> str:
    """Return the part of a path that is sure to stand in the file: it may be relative there."""
    return name.removeprefix("/etc/nginx/").removeprefix("/usr/share/nginx/")
