"""The documents say what the code does: a name that they lack, or that has gone, fails here."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import sidecar
from sidecar.cli import COMMANDS
from sidecar.errors import ExitCode
from sidecar.host.capabilities import NEEDED, WANTED
from sidecar.web.metrics import make_registry
from tests.unit.reports import FULL

SOURCE = Path(sidecar.__file__).parent
ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
DECISIONS = sorted((ROOT / "docs/adr").glob("*.md"))


def table(head: str) -> dict[str, str]:
    """Return the first cell, without backticks, and the last one of each row below `head`."""
    lines = README.partition(f"\n| {head} |")[2].splitlines()[2:]
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        cells = line.strip("|").split("|")
        rows[cells[0].strip().strip("`")] = cells[-1].strip()
    return rows


def tables(head: str) -> set[str]:
    """Return the first cells of all tables that begin with `head`."""
    found: set[str] = set()
    for part in README.split(f"\n| {head} |")[1:]:
        rows = part.partition("\n\n")[0].splitlines()[2:]
        found |= {row.split("|")[1].strip().strip("`") for row in rows}
    return found


def problem_codes() -> Iterator[str]:
    """Give the `code` of every Problem that the core makes."""
    for file in (SOURCE / "core").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Problem":
                (code,) = [word.value for word in node.keywords if word.arg == "code"]
                choices = [code.body, code.orelse] if isinstance(code, ast.IfExp) else [code]
                yield from (ast.literal_eval(choice) for choice in choices)


def exported_metrics() -> Iterator[str]:
    """Give every metric as the README writes it, with its labels."""
    for family in make_registry(lambda: FULL).collect():
        for sample in family.samples:
            labels = ",".join(sample.labels)
            yield f"{sample.name}{{{labels}}}" if labels else sample.name


def test_the_readme_has_every_command() -> None:
    assert table("command | does").keys() == {f"ha {command}" for command in COMMANDS}


def test_the_readme_gives_only_commands_that_exist() -> None:
    given = re.findall(r"(?:`| sidecar )ha ([a-z]+)", README)
    assert set(given) <= COMMANDS.keys()


def test_the_readme_has_every_exit_code() -> None:
    assert table("exit code | means").keys() == {str(code.value) for code in ExitCode}


def test_the_readme_has_every_metric_with_its_labels() -> None:
    assert tables("metric | means") == set(exported_metrics())


def test_the_alert_rules_ask_for_metrics_and_problems_that_exist() -> None:
    rules = (ROOT / "config/prometheus/rules.yaml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\b(ha_\w+|keepalived_\w+|nginx_\w+)\{", rules))
    assert asked <= {metric.partition("{")[0] for metric in exported_metrics()}
    assert {"ha_vip_held", "ha_eligible"} < asked


def test_the_readme_has_every_problem() -> None:
    assert table("code | means | do").keys() == set(problem_codes())


def test_the_readme_has_every_capability_with_its_reason() -> None:
    assert table("capability | because") == {**NEEDED, **WANTED}


def test_the_container_has_the_capabilities_that_are_needed() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert sorted(compose["services"]["sidecar"]["cap_add"]) == sorted({**NEEDED, **WANTED})


def test_the_readme_shows_the_compose_file_as_it_is() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert f"```yaml\n{compose}```" in README
    assert len(compose.splitlines()) <= 25, "a quick start is short"


def test_the_architecture_has_every_package() -> None:
    packages = {directory.parent.name for directory in SOURCE.glob("*/__init__.py")}
    assert {name for name in packages if f"| `{name}/` |" not in ARCHITECTURE} == set()


def test_the_architecture_links_every_decision() -> None:
    assert [file.name for file in DECISIONS if f"(adr/{file.name})" not in ARCHITECTURE] == []


@pytest.mark.parametrize("file", DECISIONS, ids=lambda file: file.stem)
def test_a_decision_is_short_and_has_its_three_parts(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith(f"# {int(file.name[:4])}. ")
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["Context", "Decision", "Consequence"]
    assert len(text.splitlines()) <= 25


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_every_link_leads_somewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        path, _, heading = target.partition("#")
        linked = file.parent / path if path else file
        assert linked.exists(), target
        headings = re.findall(r"^#+ (.*)", linked.read_text(encoding="utf-8"), re.MULTILINE)
        assert not heading or heading in {title.lower().replace(" ", "-") for title in headings}
