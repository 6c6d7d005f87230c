"""Edits a file and waits until that is seen elsewhere; runs inside a container.

Usage: edit.py FILE TEXT SEEN MARK SECONDS. Writes TEXT into FILE and looks at SEEN, a path or the
address of a web server, until MARK is in it. Prints when it wrote (unix time) and how many seconds
it took.
"""

import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

PAUSE = 0.01


def main(file: str, text: str, seen: str, mark: str, seconds: str) -> None:
    """Edit and wait; end with an error after so many seconds."""
    wrote, begun = time.time(), time.monotonic()
    Path(file).write_text(text)
    while mark not in look(seen):
        if time.monotonic() - begun > float(seconds):
            sys.exit(f"not seen at {seen} within {seconds} s")
        time.sleep(PAUSE)
    sys.stdout.write(f"{wrote} {time.monotonic() - begun}\n")


def look(seen: str) -> str:
    """Return what is there, nothing if that cannot be told."""
    try:
        if seen.startswith("/"):
            return Path(seen).read_text()
        connection = HTTPConnection(seen, timeout=2)
        connection.request("GET", "/", headers={"Host": "bench.test", "Connection": "close"})
        return connection.getresponse().read().decode()
    except (OSError, HTTPException):
        return ""


main(*sys.argv[1:])
