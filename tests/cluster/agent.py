"""Runs commands in a container for `shell.py`, many over one `docker exec`.

Reads a JSON object per line: `number`, and either `command`, `user` and `group`, `directory`, or
`look` and `arguments`. Prints one for each that has ended, in any order: `number`, `code`, and
`out` and `err`, or `seen`. Ends with its standard input.
"""

import json
import os
import subprocess
import sys
import threading
from typing import Any, BinaryIO

from tests.cluster.look import LOOKS


def main() -> None:
    """Take requests until there are no more."""
    for line in sys.stdin:
        threading.Thread(target=answer, args=(json.loads(line),), daemon=True).start()
    os._exit(0)


def answer(request: dict[str, Any]) -> None:
    """Do as requested and print what became of it."""
    found = look(request) if "look" in request else run(request)
    text = json.dumps({"number": request["number"], **found})
    with WRITING:
        print(text, flush=True)


def look(request: dict[str, Any]) -> dict[str, Any]:
    """Look at something, without a program."""
    try:
        return {"code": 0, "seen": LOOKS[request["look"]](*request["arguments"])}
    except Exception as error:  # noqa: BLE001 # the test is told
        return {"code": 1, "err": f"{type(error).__name__}: {error}"}


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run a command; what it leaves behind is not waited for."""
    with memory() as out, memory() as err:
        try:
            code = subprocess.call(
                request["command"],
                cwd=request["directory"],
                user=request["user"],
                group=request["group"],
                extra_groups=[],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        except OSError as error:
            code = 127
            err.write(str(error).encode())
        return {"code": code, "out": text_of(out), "err": text_of(err)}


def memory() -> BinaryIO:
    """Return a file without a place."""
    return os.fdopen(os.memfd_create("output"), "w+b", buffering=0)


def text_of(file: BinaryIO) -> str:
    """Return all that was written to a file."""
    file.seek(0)
    return file.read().decode(errors="surrogateescape")


WRITING = threading.Lock()

main()
