"""The environment and sidecar.yaml → `Settings`; all that is wrong with them is told at once."""

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sidecar.core.settings import Settings
from sidecar.errors import SettingsError
from sidecar.host.paths import Paths
from sidecar.settings import mapping, rules
from sidecar.settings.parse import shown
from sidecar.settings.row import Row
from sidecar.settings.schema import SCHEMA
from sidecar.settings.source import Given, Origin, Source

_FIRST_STEPS: Final = """
  kiss-ha needs three settings, the same on every host. Write them into the file .env beside
  docker-compose.yml, with your own addresses; the VIP is a free address of the same network:

    HA_NODES=192.168.1.11,192.168.1.12
    HA_VIP=192.168.1.10
    HA_SECRET=<what `openssl rand -hex 32` prints>

  then: docker compose up -d"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings, and by variable where each came from."""

    settings: Settings
    sources: Mapping[str, Source]


def from_process(paths: Paths) -> Loaded:
    """Return the settings that this process's environment makes; raise SettingsError."""
    return load(os.environ, config_file=paths.config / "sidecar.yaml")


def load(environment: Mapping[str, str], *, config_file: Path) -> Loaded:
    """Return the settings that `config_file` makes of `environment`.

    Raise SettingsError with all problems; it never tells a secret.
    """
    try:
        mapped = mapping.read(config_file, environment)
    except ValueError as error:
        raise SettingsError([str(error)]) from None
    parsed = _parse(mapped)
    problems = [
        *mapped.problems.values(),
        *_unknown_entries(mapped, config_file),
        *_unknown_variables(mapped, environment, config_file),
        *parsed.problems,
        *(
            _problem(row, parsed.given[field], cause)
            for field, cause in rules.broken(parsed.values)
            for row in SCHEMA
            if row.field == field
        ),
    ]
    if problems:
        required = [row.field for row in SCHEMA if row.required]
        nothing = not any(parsed.given.get(field) for field in required)
        raise SettingsError(problems, _FIRST_STEPS if nothing else "")
    values = dict(parsed.values)
    values["vrid"] = values["vrid"] or rules.router_id(values["vips"][0])
    sources = {row.variable: _source(parsed.given[row.field]) for row in SCHEMA}
    return Loaded(settings=Settings(**values), sources=sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    """What is right and what is wrong with each setting on its own, by field."""

    given: Mapping[str, Given | None]
    values: Mapping[str, Any] = field(repr=False)
    problems: Sequence[str]


def _parse(mapped: mapping.Mapped) -> _Parsed:
    given: dict[str, Given | None] = {}
    values: dict[str, object] = {}
    problems: list[str] = []
    for row in SCHEMA:
        entry = mapped.entries.get(row.key, "")
        if mapped.problems.keys() & set(mapping.marked(entry)):
            continue  # told already
        given[row.field] = None
        try:
            given[row.field] = one = mapping.fill(entry, mapped.variables)
            if one is None and row.required:
                raise ValueError("required, but not set")
            values[row.field] = row.parse(one.text if one else row.default)
        except ValueError as error:
            problems.append(_problem(row, given[row.field], str(error)))
    return _Parsed(given=given, values=values, problems=problems)


def _source(given: Given | None) -> Source:
    return given.source if given else Source(origin=Origin.DEFAULT)


def _problem(row: Row, given: Given | None, cause: str) -> str:
    return (
        f"{_subject(row, given)}: {cause}\n"
        f"  allowed: {row.allowed}\n"
        f"  example: {row.variable}={row.example}"
    )


def _subject(row: Row, given: Given | None) -> str:
    if given is None:
        return row.variable
    value = "(hidden)" if row.secret else shown(given.text)
    source = given.source
    match source.origin:
        case Origin.FILE:
            return f"{source.variable}={source.path} with {value}"
        case Origin.CONFIG:
            return f"{row.variable}, in sidecar.yaml `{row.key}: {value}`"
        case _:
            return f"{source.variable}={value}"


def _unknown_entries(mapped: mapping.Mapped, config_file: Path) -> Iterator[str]:
    keys = [row.key for row in SCHEMA]
    for key in sorted(mapped.entries.keys() - set(keys)):
        yield f"{key} in {config_file}: unknown setting{_did_you_mean(key, keys)}"


def _unknown_variables(
    mapped: mapping.Mapped, environment: Mapping[str, str], config_file: Path
) -> Iterator[str]:
    """Give a problem for each HA_* that changes nothing; its value may be a misplaced secret."""
    used = {name for row in SCHEMA for name in mapping.marked(mapped.entries.get(row.key, ""))}
    keys = {row.variable: row.key for row in SCHEMA}
    for variable in sorted(name for name, text in environment.items() if text):
        stem = variable.removesuffix("_FILE")
        if not variable.startswith("HA_") or variable in used or stem in used:
            continue
        if key := keys.get(stem):
            yield f"{variable}: {config_file} does not use it\n  add `{key}: ${{{stem}}}` there"
        else:
            hint = _did_you_mean(stem, sorted(mapped.variables), variable.removeprefix(stem))
            yield f"{variable}: unknown setting{hint}"


def _did_you_mean(word: str, known: Sequence[str], suffix: str = "") -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"\n  did you mean {close[0]}{suffix}?" if close else "\n  remove it"
