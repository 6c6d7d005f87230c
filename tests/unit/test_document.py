import re
from pathlib import Path

import pytest

from sidecar.document import commands_table, main, rewrite, settings_table
from sidecar.errors import RefusedError
from sidecar.settings.document import env_example
from sidecar.settings.schema import SCHEMA

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["docs/settings.md", "docs/commands.md"])
def test_the_tables_are_up_to_date(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert rewrite(text, name) == text


def test_each_line_of_the_settings_has_three_cells() -> None:
    lines = settings_table().splitlines()
    assert len(lines) == len(SCHEMA) + 2
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in lines)


def test_a_command_is_shown_as_it_is_typed() -> None:
    table = commands_table()
    assert "| `ha restore SNAPSHOT PATH` |" in table
    assert "| `ha diff [SNAPSHOT] [SNAPSHOT]` |" in table
    assert "| `ha sync [--dry-run]` |" in table
    assert "`ha bring" not in table, "it is given by other commands"


def test_the_files_are_rewritten_in_place(tmp_path: Path) -> None:
    page, example = tmp_path / "settings.md", tmp_path / ".env.example"
    begin, end = "<!-- settings -->\n", "<!-- /settings -->"
    page.write_text(f"before\n{begin}old\n{end}\nafter\n", encoding="utf-8")
    assert main([str(page), str(example)]) == 0
    assert page.read_text(encoding="utf-8") == f"before\n{begin}{settings_table()}{end}\nafter\n"
    assert example.read_text(encoding="utf-8") == env_example()


def test_a_page_without_a_place_for_a_table_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "settings.md"
    page.write_text("mine", encoding="utf-8")
    assert main([str(page)]) != 0
    assert page.read_text(encoding="utf-8") == "mine"
    with pytest.raises(RefusedError, match="no place"):
        rewrite("mine", "settings.md")
