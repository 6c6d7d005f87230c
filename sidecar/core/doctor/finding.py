"""What a check of `ha doctor` found."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sidecar.core.show.present import Style
from sidecar.core.show.table import Cell, Colour
from sidecar.core.words import counted


class Verdict(StrEnum):
    """How it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line, with what to do where something is to be done."""

    group: str
    check: str
    verdict: Verdict
    text: str
    fix: str = ""


def found(group: str, check: str, verdict: Verdict, text: str, fix: str = "") -> Finding:
    """Return a finding; a module of checks binds its group."""
    return Finding(group=group, check=check, verdict=verdict, text=text, fix=fix)


_COLOURS: Final = {
    Verdict.OK: Colour.GOOD,
    Verdict.WARNING: Colour.WARN,
    Verdict.PROBLEM: Colour.BAD,
    Verdict.UNKNOWN: Colour.PLAIN,
}
_WIDEST: Final = max(map(len, Verdict))


def findings_text(findings: Sequence[Finding], style: Style, *, quiet: bool) -> str:
    """Return the findings by group; with `quiet` only those that want something done."""
    shown = [
        one for one in findings if not quiet or one.verdict in {Verdict.WARNING, Verdict.PROBLEM}
    ]
    lines: list[str] = []
    for group in dict.fromkeys(one.group for one in shown):
        lines += ["", Cell(group.upper(), Colour.HEAD).painted(color=style.color)]
        for one in (one for one in shown if one.group == group):
            label = one.verdict.ljust(_WIDEST)
            head, *rest = style.lines(
                Cell(f"{label}  {one.check}: {one.text}"), " " * (_WIDEST + 2)
            )
            painted = Cell(label, _COLOURS[one.verdict]).painted(color=style.color)
            lines += [head.replace(label, painted, 1), *rest]
            if one.fix:
                indent = " " * (_WIDEST + 2)
                lines += style.lines(Cell(f"{indent}→ {one.fix}"), f"{indent}  ")
    return "\n".join([*lines[1:], *([] if quiet else ["", summary(findings)])])


def summary(findings: Sequence[Finding]) -> str:
    """Return how many there are of each kind."""
    counts = {verdict: sum(one.verdict is verdict for one in findings) for verdict in Verdict}
    several = (Verdict.WARNING, Verdict.PROBLEM)
    return ", ".join(
        counted(count, verdict) if verdict in several else f"{count} {verdict}"
        for verdict, count in counts.items()
    )
