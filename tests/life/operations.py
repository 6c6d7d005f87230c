"""What may happen in a round: made from a seed alone, so that a round can be had again."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.e2e import sites

NODES: Final = 3

SITES: Final = tuple(f"conf.d/s{number}.conf" for number in range(5))
FILES: Final = ("data/a", "data/b", "data/d/a", "data/d/b", "data/d/e/a", "data/new/er/a")
DIRECTORIES: Final = ("data/d", "data/d/e", "data/new")
PATHS: Final = (*FILES, *DIRECTORIES)
BROKEN: Final = "conf.d/broken.conf"
LINK: Final = "conf.d/linked.conf"
LINKED: Final = "data/linked"
CLASH: Final = "conf.d/clash-{}.conf"
MANY: Final = tuple(f"many/{number}" for number in range(1, 121))

# By name: what a person does in the folder. $1 is the path, $2 a text or another path, $3 a text.
# Nobody writes through a link.
_TIDY: Final = "trap 'rm -f \"$1~\"' EXIT; "
_ROOM: Final = 'mkdir -p "$(dirname "$1")"; '
EDITS: Final = {
    "write": '[ ! -L "$1" ]; ' + _ROOM + 'printf %s "$2" >"$1"',
    "save": _TIDY + '[ ! -d "$1" ]; ' + _ROOM + 'printf %s "$2" >"$1~"; mv -T "$1~" "$1"',
    "delete": 'rm -r -- "$1"',
    "rename": '[ -e "$1" ]; mkdir -p "$(dirname "$2")"; mv -T "$1" "$2"',
    "chmod": 'chmod "$2" "$1"',
    "link": 'rm -rf -- "$1"; ' + _ROOM + 'ln -sn "$2" "$1"',
    "file instead": 'rm -r -- "$1"; ' + _ROOM + 'printf %s "$2" >"$1"',
    "many": 'for number in $(seq 120); do printf %s "$2" >"$1/$number"; done',
    "storm": _TIDY
    + _ROOM
    + "number=0; while [ $number -lt 40 ]; do number=$((number + 1)); "
    + 'printf %s "$number" >"$1~"; mv -T "$1~" "$1"; printf %s "$number" >>"$2"; sleep 0.05; done; '
    + 'printf %s "$3" >"$2"; printf %s "$3" >"$1~"; mv -T "$1~" "$1"',
    "directory instead": 'rm -rf -- "$1"; mkdir -p "$1/e"; printf %s "$2" >"$1/e/a"',
}
WRITES: Final = {
    "write": "",
    "save": "",
    "file instead": "",
    "directory instead": "/e/a",
    "many": "/1",
    "storm": "",
}
"""Those that write $2, and where below $1."""

PAUSES: Final = (0.0, 0.0, 0.2, 0.5, 1.5)

TREATMENTS: Final = (
    "cut",
    "cut one way",
    "mend the network",
    "kill",
    "start",
    "pause",
    "unpause",
    "restart",
)
"""What is done to a node, not to its folder."""

# How often what happens, by kind.
_KINDS: Final = {
    "site": 12,
    "write": 8,
    "delete": 4,
    "rename": 4,
    "chmod": 3,
    "link": 3,
    "turn": 6,
    "break": 1,
    "enable": 1,
    "at once": 6,
    "alike": 2,
    "clash": 1,
    "burst": 2,
    "storm": 2,
    "many": 3,
    "undone at once": 1,
    "cut": 5,
    "cut one way": 3,
    "mend the network": 4,
    "kill": 3,
    "start": 5,
    "pause": 3,
    "unpause": 5,
    "restart": 1,
    "rollback": 1,
    "restore": 2,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that happens to a node. Those of several nodes run side by side."""

    what: str
    node: int
    arguments: tuple[str, ...] = ()
    pause: float = 0.0
    """Seconds until the next one."""

    def __str__(self) -> str:
        return " ".join((f"{'abc'[self.node]}: {self.what}", *map(repr, self.arguments)))


@dataclass(slots=True, kw_only=True)
class _Maker:
    choice: random.Random
    round: int
    made: int = 0
    operations: list[Operation] = field(default_factory=list)

    def text(self, path: str) -> str:
        """Return a text that nobody has written before."""
        self.made += 1
        word = f"{self.round}-{self.made}"
        if path in SITES:
            return sites.site(f"{path.removeprefix('conf.d/').removesuffix('.conf')}.test", word)
        return f"{word}\n"

    def edit(self, kind: str) -> tuple[str, tuple[str, ...]]:
        """Return what to do to what lies in a folder."""
        choose = self.choice.choice
        save = choose(("write", "save"))
        match kind:
            case "site":
                path = choose(SITES)
                return save, (path, self.text(path))
            case "delete":
                return "delete", (choose((*PATHS, *SITES, LINK)),)
            case "rename":
                return "rename", (choose(PATHS), choose(PATHS))
            case "chmod":
                return "chmod", (choose((*PATHS, *SITES)), choose(("700", "750", "755")))
            case "link":
                return "link", (choose(PATHS), choose(("nowhere/at/all", "/elsewhere")))
            case "turn":
                path = choose(DIRECTORIES)
                return choose(("file instead", "directory instead")), (path, self.text(path))
            case "break":
                return "write", (BROKEN, "server { nonsense; }\n")
            case "enable":
                return "link", (LINK, f"../{LINKED}")
            case _:
                path = choose(FILES)
                return save, (path, self.text(path))

    def add(self, kind: str, node: int) -> None:
        """Add what a kind stands for."""
        other = (node + self.choice.randint(1, NODES - 1)) % NODES
        match kind:
            case "cut one way":
                self._add(kind, node, str(other))
            case "rollback":
                self._add(kind, node, self.back())
            case "undone at once":
                self._add("rollback", node, self.back(), pause=0.0)
                self._add("rollback", other, self.back())
            case "restore":
                self._add(kind, node, self.back(), self.choice.choice((*PATHS, *SITES)))
            case _ if kind in TREATMENTS:
                self._add(kind, node)
            case _:
                self.add_edits(kind, node)

    def add_edits(self, kind: str, node: int) -> None:
        """Add what a kind of edits stands for."""
        other = (node + self.choice.randint(1, NODES - 1)) % NODES
        path = self.choice.choice((*FILES, *SITES))
        match kind:
            case "at once":
                self._add("save", node, path, self.text(path), pause=0.0)
                self._add("save", other, path, self.text(path))
            case "alike":
                text = self.text(path)
                self._add("save", node, path, text, pause=0.0)
                self._add("save", other, path, text)
            case "clash":
                path = CLASH.format("abc"[node])
                self._add("write", node, path, "upstream clash { server 127.0.0.1:1; }\n")
            case "burst":
                for _ in range(5):
                    what, arguments = self.edit(self.choice.choice(("site", "write", "turn")))
                    self._add(what, node, *arguments)
            case "storm":
                for one in range(NODES):
                    self._add("storm", one, "data/a", "data/d/a", self.text(path), pause=0.0)
            case "many":
                self._add("many", node, "many", self.text("many"))
                self._add("kill", other)
                self._add("start", other)
            case _:
                what, arguments = self.edit(kind)
                self._add(what, node, *arguments)

    def back(self) -> str:
        """Return which of the newest snapshots to go back to."""
        return str(self.choice.randint(1, 8))

    def _add(self, what: str, node: int, *arguments: str, pause: float | None = None) -> None:
        chosen = self.choice.choice(PAUSES)
        self.operations.append(
            Operation(
                what=what,
                node=node,
                arguments=arguments,
                pause=chosen if pause is None else pause,
            )
        )


def make(seed: int, number: int) -> Iterator[Operation]:
    """Give what happens in a round, without an end."""
    maker = _Maker(choice=random.Random(f"{seed}/{number}"), round=number)
    kinds, weights = list(_KINDS), list(_KINDS.values())
    while True:
        (kind,) = maker.choice.choices(kinds, weights)
        maker.add(kind, maker.choice.randrange(NODES))
        yield from maker.operations
        maker.operations.clear()
