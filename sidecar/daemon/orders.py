"""Who carries out what a person orders the running node (`ORDERS` of `commands.table`)."""

from collections.abc import Callable

from sidecar.daemon.build import Components
from sidecar.errors import RefusedError
from sidecar.sync.desk import Desk
from sidecar.vital.commands import Commands
from sidecar.web.control import Order


def orders(node: Components) -> dict[str, Order]:
    """Return who does, by name of the command."""

    def by_sync(order: Callable[[Desk], Order]) -> Order:
        async def perform(**given: object) -> str:
            return await order(node.sync.desk)(**given)

        return perform

    vital = Commands(node.node, node.settings.prefer)
    return {
        "failover": vital.failover,
        "drain": vital.drain,
        "resume": vital.resume,
        "reload": node.serving.reload if node.serving else _reload_nothing,
        "sync": by_sync(lambda sync: sync.sync),
        "sync release": by_sync(lambda sync: sync.release),
        "rollback": by_sync(lambda sync: sync.rollback),
        "restore": by_sync(lambda sync: sync.restore),
        "bring": by_sync(lambda sync: sync.bring),
    }


async def _reload_nothing() -> str:
    raise RefusedError("cannot reload: HA_NGINX=off", "reload your own service yourself")
