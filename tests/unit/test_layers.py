"""The layers of docs/architecture.md: what each package may import."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import sidecar

ROOT = Path(sidecar.__file__).parent

NOT_IN_CORE = {"os", "subprocess", "asyncio", "time", "socket", "pathlib", "random", "threading"}
SHARED = {"__version__", "errors"}


def allowed() -> dict[str, set[str]]:
    """Return by package what docs/architecture.md says that it imports."""
    page = (ROOT.parent / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w/]+)/` \|.*\| ([^|]*) \|$", page, re.MULTILINE)
    return {package: set(re.findall(r"`([\w/]+)`", cell)) for package, cell in rows}


def files(layer: str) -> Iterator[Path]:
    """Return a layer's modules: the rooms of core are layers of their own."""
    return (ROOT / layer).glob("*.py" if layer == "core" else "**/*.py")


def layer_of(module: str, *, rooms: bool) -> str:
    """Return the layer that holds one of our modules."""
    names = module.split(".")[1:]
    in_room = rooms and names[0] == "core" and (ROOT / "core" / names[1]).is_dir()
    return "/".join(names[:2]) if in_room else names[0]


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            assert node.module is not None
            yield node.module


def test_every_package_is_a_layer() -> None:
    packages = [*ROOT.glob("*/__init__.py"), *ROOT.glob("core/*/__init__.py")]
    assert allowed().keys() == {str(file.parent.relative_to(ROOT)) for file in packages}


@pytest.mark.parametrize("layer", allowed())
def test_a_layer_imports_what_the_page_says(layer: str) -> None:
    modules = {module for file in files(layer) for module in imports(file)}
    rooms = layer.startswith("core")
    ours = {layer_of(name, rooms=rooms) for name in modules if name.startswith("sidecar.")}
    assert ours - SHARED - {layer} == allowed()[layer]


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
