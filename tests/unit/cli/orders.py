"""A daemon that does what it is told."""

from typing import Final

from sidecar.core.history.change import printable
from sidecar.errors import ProgramError, RefusedError
from sidecar.web.control import Orders


async def failover() -> str:
    return "192.0.2.12 is MASTER now"


async def drain() -> str:
    raise RefusedError("cannot drain: no peer could take over", "start one")


async def resume() -> str:
    raise ProgramError("cannot write the flag: No space left on device")


async def reload() -> str:
    raise RefusedError("cannot reload: [emerg] no", "correct it")


async def sync(*, dry_run: bool) -> str:
    return "would do nothing" if dry_run else "head is 3f2a9c81d0be"


async def adopt(whose: str) -> str:
    return f"chose the configuration of {whose}"


async def hold() -> str:
    return "held"


async def release() -> str:
    return "released (mass-delete): 12 of 20 files"


async def clear(path: str) -> str:
    raise RefusedError(f"cannot clear {path}: it is not among the conflicts")


async def bring(snapshot: str) -> str:
    raise RefusedError(f"cannot use snapshot {snapshot[:12]}: no linked node has it")


async def verify() -> str:
    return "2 snapshots and 2 files were checked: nothing is damaged"


async def rollback(snapshot: str) -> str:
    raise RefusedError(f"cannot use {snapshot!r}: no snapshot starts with {snapshot}")


async def restore(snapshot: str, path: str) -> str:
    return f"restored {printable(path)} from {snapshot}"


OBEYING: Final[Orders] = {
    "failover": failover,
    "drain": drain,
    "resume": resume,
    "reload": reload,
    "sync": sync,
    "sync adopt": adopt,
    "sync hold": hold,
    "sync release": release,
    "bring": bring,
    "clear": clear,
    "verify": verify,
    "rollback": rollback,
    "restore": restore,
}
