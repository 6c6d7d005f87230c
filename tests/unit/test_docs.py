"""The documents say what the code does: a name that they lack, or that has gone, fails here."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import sidecar
from sidecar.commands.table import COMMANDS
from sidecar.errors import ExitCode
from sidecar.host.capabilities import NEEDED, WANTED
from sidecar.web.metrics import make_registry
from tests.unit.reports import FULL

SOURCE = Path(sidecar.__file__).parent
ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
DECISIONS = sorted((ROOT / "docs/adr").glob("0*.md"))
RULES = (ROOT / "config/prometheus/rules.yaml").read_text(encoding="utf-8")
ALERTS = [rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"]]
OF_OTHERS = ("A thread timer expired", "[emerg] bind()")
"""How the lines begin that keepalived and nginx log."""


def read(name: str) -> str:
    """Return the text of a document."""
    return (ROOT / name).read_text(encoding="utf-8")


def table(name: str, head: str) -> dict[str, str]:
    """Return the first cell, without backticks, and the last one of each row below `head`."""
    lines = read(name).partition(f"\n| {head} |")[2].splitlines()[2:]
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        cells = line.strip("|").split("|")
        rows[cells[0].strip().strip("`")] = cells[-1].strip()
    return rows


def tables(name: str, head: str) -> set[str]:
    """Return the first cells of all tables that begin with `head`."""
    found: set[str] = set()
    for part in read(name).split(f"\n| {head} |")[1:]:
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
    """Give every metric as the documents write it, with its labels."""
    for family in make_registry(lambda: FULL).collect():
        for sample in family.samples:
            labels = ",".join(sample.labels)
            yield f"{sample.name}{{{labels}}}" if labels else sample.name


def texts() -> Iterator[str]:
    """Give every text of the code, or what lies between the values that are put into it."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 200


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.stem)
def test_a_document_names_only_commands_that_exist(file: Path) -> None:
    given = re.findall(r"(?:`| sidecar )ha ([a-z]+)", file.read_text(encoding="utf-8"))
    assert set(given) <= {command.split()[0] for command in COMMANDS}


def test_every_exit_code_is_documented() -> None:
    documented = table("docs/commands.md", "exit code | means").keys()
    assert documented == {str(code.value) for code in ExitCode}


def test_every_metric_is_documented_with_its_labels() -> None:
    assert tables("docs/metrics.md", "metric | means") == set(exported_metrics())


def test_every_alert_leads_to_what_to_do_about_it() -> None:
    headings = re.findall(r"^## (.*)", read("docs/alerts.md"), re.MULTILINE)
    assert headings == [rule["alert"] for rule in ALERTS]
    for rule in ALERTS:
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}


def test_every_alert_is_tested_with_a_case_that_fires_and_one_that_does_not() -> None:
    tests = yaml.safe_load(read("tests/prometheus/rules.test.yaml"))["tests"]
    cases = {test["name"]: test["promql_expr_test"] for test in tests}
    for rule in ALERTS:
        fires = {bool(case["exp_samples"]) for case in cases[rule["alert"]]}
        assert fires == {True, False}, rule["alert"]
        assert all(rule["alert"] in case["expr"] for case in cases[rule["alert"]])


def test_the_alert_rules_ask_for_metrics_and_problems_that_exist() -> None:
    asked = set(re.findall(r"\b(ha_\w+|keepalived_\w+|nginx_\w+)", str(ALERTS)))
    assert asked <= {metric.partition("{")[0] for metric in exported_metrics()}
    assert {"ha_vip_held", "ha_eligible"} < asked


def test_every_problem_is_documented() -> None:
    documented = table("docs/troubleshooting.md", "code | means | do").keys()
    assert documented == set(problem_codes())


def test_the_log_lines_of_the_documents_are_those_of_the_code() -> None:
    said = tuple(texts())
    for line in table("docs/troubleshooting.md", "line | meaning, and what to do"):
        clauses = [part.strip() for part in re.split(r"…|\d|: |[A-Z]{3}\w+", line)]
        phrases = [clause for clause in clauses if " " in clause]
        known = any(phrase in text for phrase in phrases for text in said)
        assert known or not phrases or line.startswith(OF_OTHERS), line


def test_every_capability_is_documented_with_its_reason() -> None:
    assert table("docs/security.md", "capability | because") == {**NEEDED, **WANTED}


def test_the_container_has_the_capabilities_that_are_needed() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert sorted(compose["services"]["sidecar"]["cap_add"]) == sorted({**NEEDED, **WANTED})


def test_the_readme_shows_the_compose_file_as_it_is() -> None:
    compose = read("docker-compose.yml")
    assert f"```yaml\n{compose}```" in read("README.md")
    assert len(compose.splitlines()) <= 25, "a quick start is short"


def test_the_architecture_fits_a_page_and_names_only_what_exists() -> None:
    text = read("docs/architecture.md")
    assert len(text.splitlines()) <= 75
    named = set(re.findall(r"`([a-z_/]+/[\w./-]*)`", text))
    named |= set(re.findall(r"(?<![\w/])([a-z]+/[a-z_]*) ", text.partition("\n**")[0]))
    there = {name for name in named for base in (ROOT, SOURCE) if (base / name).exists()}
    there |= {name for name in named if (SOURCE / f"{name}.py").exists()}
    assert named == there


def test_every_decision_is_listed() -> None:
    listed = re.findall(r"^(\d+)\. \[(.*)\]\((.*)\)$", read("docs/adr/README.md"), re.MULTILINE)
    titles = {file.name: file.read_text(encoding="utf-8").splitlines()[0] for file in DECISIONS}
    assert {file: f"# {number}. {title}" for number, title, file in listed} == titles


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
        if heading:
            titles = re.findall(r"^#+ (.*)", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {title.lower().replace(" ", "-") for title in titles}
