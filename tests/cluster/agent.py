"""Runs commands in a container for `shell.py`, many over one `docker exec`.

Reads a JSON object per line: `number`, `command`, `user` and `group`, `directory`. Prints one for
each that has ended, in any order: `number`, `code`, `out`, `err`. Ends with its standard input.
"""

import json
import os
import subprocess
import sys
import threading
from typing import Any, BinaryIO


def main() -> None:
    """Take requests until there are no more."""
    for line in sys.stdin:
        threading.Thread(target=answer, args=(json.loads(line),), daemon=True).start()
    os._exit(0)


def answer(request: dict[str, Any]) -> None:
    """Run a command and print what became of it; what it leaves behind is not waited for."""
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
        texts = {"out": text_of(out), "err": text_of(err)}
    text = json.dumps({"number": request["number"], "code": code, **texts})
    with WRITING:
        print(text, flush=True)


def memory() -> BinaryIO:
    """Return a file without a place."""
    return os.fdopen(os.memfd_create("output"), "w+b", buffering=0)


def text_of(file: BinaryIO) -> str:
    """Return all that was written to a file."""
    file.seek(0)
    return file.read().decode(errors="surrogateescape")


WRITING = threading.Lock()

main()
