"""Apprise: sends a message to a chat, a phone, a mailbox.

Run as a program of its own: its import costs 40 MB, which leave with it.
"""

import json
import logging
import sys
from typing import Final

from sidecar.core.show.notices import Message
from sidecar.errors import ProgramError
from sidecar.host.process import run_module

_WITHIN: Final = 30.0


async def send(url: str, message: Message) -> None:
    """Send a message to one of Apprise's URLs; raise ProgramError with the cause."""
    given = {"url": url, "title": message.title, "body": message.body, "kind": message.kind}
    said = await run_module(__name__, stdin=json.dumps(given).encode(), timeout=_WITHIN)
    if said.strip():
        raise ProgramError(f"cannot notify {service(url)}: {said.strip().splitlines()[0]}")


def service(url: str) -> str:
    """Return a URL without all that may be secret."""
    return f"{url.partition('://')[0]}://…"


def _main() -> None:
    """Send what standard input says; print why that failed, if it did."""
    from apprise import Apprise  # noqa: PLC0415 # as said above

    given = json.load(sys.stdin)
    notifier = Apprise()
    if not notifier.add(given["url"]):
        print("Apprise does not know this kind of URL")
        return
    # Only now: of a URL that it does not know its log would tell all.
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    if not notifier.notify(title=given["title"], body=given["body"], notify_type=given["kind"]):
        print("the service did not accept it")


if __name__ == "__main__":
    _main()
