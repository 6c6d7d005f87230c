"""Templates print, Python decides: every name and number in one was computed before."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(template: Path, /, **values: object) -> str:
    """Return the text of `template`; a name that `values` lacks is an error."""
    return _environment(template.parent).get_template(template.name).render(values)


@cache
def _environment(directory: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader(directory),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 # configuration files, not HTML
    )
