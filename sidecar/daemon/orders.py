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
        "sync hold": by_sync(lambda sync: sync.hold),
        "sync release": by_sync(lambda sync: sync.release),
        "sync adopt": by_sync(lambda sync: sync.adopt),
        "rollback": by_sync(lambda sync: sync.rollback),
        "restore": by_sync(lambda sync: sync.restore),
        "clear": by_sync(lambda sync: sync.clear),
        "notify test": node.notifier.test,
        "bring": by_sync(lambda sync: sync.bring),
        "verify": by_sync(lambda sync: sync.verify),
    }


async def _reload_nothing() -> str:
    raise RefusedError("cannot reload: HA_NGINX=off", "reload your own service yourself")
