"""The layers of docs/architecture.md: what each package may import."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sidecar

ROOT = Path(sidecar.__file__).parent

NOT_IN_CORE = {"os", "subprocess", "asyncio", "time", "socket", "pathlib", "random", "threading"}
FORBIDDEN = {
    "core": {"settings", "host", "programs", "vital", "serving", "peers", "sync", "web"},
    "host": {"settings", "programs", "vital", "serving", "peers", "sync", "web"},
    "programs": {"settings", "vital", "serving", "peers", "sync", "web"},
    "settings": {"programs", "vital", "serving", "peers", "sync", "web"},
    "vital": {"settings", "serving", "peers", "sync", "web"},
    "serving": {"settings", "vital", "peers", "sync", "web"},
    "peers": {"settings", "vital", "serving", "sync", "web"},
    "sync": {"settings", "vital", "serving", "web"},
    "web": {"settings", "programs", "vital", "serving", "peers", "sync"},
}


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            assert node.module is not None
            yield node.module


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_a_layer_imports_only_what_lies_below(layer: str) -> None:
    for file in (ROOT / layer).rglob("*.py"):
        for module in imports(file):
            parts = module.split(".")
            if parts[0] == "sidecar" and len(parts) > 1:
                assert parts[1] not in FORBIDDEN[layer], f"{file.name} imports {module}"


def test_core_knows_no_machine() -> None:
    for file in (ROOT / "core").rglob("*.py"):
        for module in imports(file):
            assert module.split(".")[0] not in NOT_IN_CORE, f"{file.name} imports {module}"


def test_only_settings_reads_the_environment() -> None:
    for file in ROOT.rglob("*.py"):
        if "settings" not in file.parent.name:
            assert "os.environ" not in file.read_text(), f"{file.name} reads the environment"
            assert "os.getenv" not in file.read_text(), f"{file.name} reads the environment"


def test_only_host_starts_processes() -> None:
    for file in ROOT.rglob("*.py"):
        if file.parent.name != "host":
            text = file.read_text()
            for word in ("subprocess", "os.system", "os.exec", "os.spawn", "os.fork"):
                assert word not in text, f"{file.name} uses {word}"
