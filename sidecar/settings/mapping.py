"""What sidecar.yaml makes of the variables, read with EnvYAML.

EnvYAML puts values into the text before YAML reads it: a `#` would end a value, `010` become 8,
a `$` name another variable, a quote break the file, an empty value hide the default. So it never
gets a value. It gets a mark for each variable, and the marks become values after YAML is done.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml
from envyaml import EnvYAML

from sidecar.settings.source import Given, Origin, Source, look_up

# Capitals only: EnvYAML takes variables as keyword arguments beside its own lower-case ones.
_REFERENCE: Final = re.compile(r"\$\{?([A-Z_][A-Z0-9_]*)(\|)?")
# Private characters: YAML lets them through, and no text has them by accident.
_MARK: Final = re.compile("\ue000([A-Z0-9_]+)\ue001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What was read."""

    entries: Mapping[str, str] = field(repr=False)
    """The entries of sidecar.yaml as text, with marks for variables."""
    variables: Mapping[str, Given | None]
    """The variables that it names; None for those that are not set or cannot be used."""
    problems: Mapping[str, str]
    """Why a variable cannot be used."""


def read(config_file: Path, environment: Mapping[str, str]) -> Mapped:
    """Return what `config_file` makes of `environment`; raise ValueError if it cannot be read."""
    variables: dict[str, Given | None] = {}
    problems: dict[str, str] = {}
    defaults: set[str] = set()
    for name, default in _REFERENCE.findall(_read(config_file)):
        try:
            variables[name] = look_up(name, environment)
        except ValueError as error:
            variables[name] = None
            problems[name] = str(error)
        if default and variables[name] is None:
            defaults.add(name)
    marks = {name: f"\ue000{name}\ue001" for name in variables.keys() - defaults}
    # The result of EnvYAML has our keyword arguments among the entries.
    parsed = _parse(config_file, marks).items()
    entries = {str(key): _text(value) for key, value in parsed if (key, value) not in marks.items()}
    return Mapped(entries=entries, variables=variables, problems=problems)


def marked(text: str) -> list[str]:
    """Return the variables whose marks are in `text`."""
    return _MARK.findall(text)


def fill(text: str, variables: Mapping[str, Given | None]) -> Given | None:
    """Return an entry with the values in place of the marks; None if nothing gives it a value.

    Raise ValueError if there is text around a variable that is not set.
    """
    names = marked(text)
    if not names:
        return Given(text=text, source=Source(origin=Origin.CONFIG)) if text else None
    if _MARK.fullmatch(text):
        return variables[names[0]]
    values = {name: given.text for name in names if (given := variables[name]) is not None}
    if unset := sorted(set(names) - set(values)):
        raise ValueError(f"it needs {' and '.join(unset)}, which is not set")
    filled = _MARK.sub(lambda match: values[match[1]], text)
    return Given(text=filled, source=Source(origin=Origin.CONFIG))


def _text(value: object) -> str:
    """Return a value of the YAML file as a person would write it in a variable."""
    match value:
        case None:
            return ""
        case bool():
            return "on" if value else "off"
        case list():
            return ",".join(_text(item) for item in value)
        case dict():
            return ",".join(f"{key}={_text(item)}" for key, item in value.items())
        case _:
            return str(value)


def _read(config_file: Path) -> str:
    try:
        return config_file.read_text(encoding="utf-8")
    except OSError as error:
        cause = error.strerror
    except UnicodeDecodeError:
        cause = "not UTF-8 text"
    raise ValueError(f"cannot read {config_file} as uid {os.geteuid()}: {cause}")


def _parse(config_file: Path, marks: Mapping[str, str]) -> dict[str, object]:
    try:
        parsed: dict[str, object] = EnvYAML(
            str(config_file),
            env_file=os.devnull,  # without a name it reads a `.env` of the working directory
            include_environment=False,
            flatten=False,
            **marks,
        ).export()
    except yaml.MarkedYAMLError as error:  # its own words quote the file, with what is secret in it
        raise ValueError(f"cannot read {config_file}: {error.problem}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"cannot read {config_file}: {error}") from None
    return parsed
