"""A node's `nginx/`: what a user does there, and what lies there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.host import run
from tests.cluster.shell import SHELLS

_TREE: Final = f"""{Path(__file__).with_name("look.py").read_text()}
import json, sys
print(json.dumps(tree(sys.argv[1])))
"""


@dataclass(frozen=True, slots=True)
class Item:
    """What lies at a path; equal on two nodes if it is byte for byte the same."""

    kind: str
    """`file`, `link`, `directory` or `special`."""
    mode: int
    """Permission bits; 0 for a link."""
    content: str
    """The SHA-256 of a file, the target of a link."""


Tree = Mapping[str, Item]
"""All that lies in a folder, by its path there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A directory as a user of a container sees it; paths are below it."""

    container: str
    path: str
    user: str

    def sh(self, script: str, *arguments: str) -> str:
        """Run a shell script there, and return its output; `arguments` are its $1, $2, …"""
        return self._run("sh", "-euc", script, "sh", *arguments)

    def python(self, script: str, *arguments: str) -> str:
        """Run a Python script there, and return its output."""
        return self._run("python3", "-c", script, *arguments)

    def write(self, path: str, text: str) -> None:
        """Write a file as `>` does: in place if it is there."""
        self.sh('mkdir -p "$(dirname "$1")"; printf %s "$2" >"$1"', path, text)

    def remove(self, *paths: str) -> None:
        """Remove files or whole directories, those that are there."""
        self.sh('rm -rf -- "$@"', *paths)

    def rename(self, old: str, new: str) -> None:
        """Give something another name."""
        self.sh('mv -T "$1" "$2"', old, new)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, in place of the one that is there."""
        self.sh('mkdir -p "$(dirname "$1")"; ln -sfn "$2" "$1"', path, target)

    def chmod(self, path: str, mode: str) -> None:
        """Change permissions."""
        self.sh('chmod "$2" "$1"', path, mode)

    def read(self, path: str) -> str:
        """Return the text of a file."""
        return self._run("cat", path)

    def has(self, path: str) -> bool:
        """Tell whether something lies at a path."""
        return path in self.tree()

    def tree(self) -> Tree:
        """Return all that lies there."""
        found = self._look().items()
        return {path: Item(kind, mode, content) for path, (kind, mode, content, _) in found}

    def owners(self) -> Mapping[str, int]:
        """Return the user id of everything that lies there."""
        return {path: owner for path, (_, _, _, owner) in self._look().items()}

    def _look(self) -> Mapping[str, tuple[str, int, str, int]]:
        shell = SHELLS.get(self.container)
        found: dict[str, tuple[str, int, str, int]] = (
            shell.look("tree", self.path) if shell else json.loads(self.python(_TREE, self.path))
        )
        return found

    def _run(self, *command: str) -> str:
        return run(self.container, *command, user=self.user, directory=self.path).stdout
