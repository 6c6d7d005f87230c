import re
from pathlib import Path

import pytest
import yaml

from sidecar.errors import RefusedError, SettingsError
from sidecar.settings.document import BEGIN, END, env_example, main, rewrite, settings_table
from sidecar.settings.load import load
from sidecar.settings.schema import SCHEMA
from tests.unit.settings.example import CONFIG_FILE, REQUIRED

ROOT = Path(__file__).parents[3]


def test_the_env_example_is_up_to_date() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example()


def test_the_table_of_the_settings_is_up_to_date() -> None:
    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    assert rewrite(text, "settings.md") == text


def test_sidecar_yaml_maps_every_variable() -> None:
    mapping = yaml.safe_load(CONFIG_FILE.read_text(encoding="utf-8"))
    assert list(mapping.items()) == [(row.key, f"${{{row.variable}}}") for row in SCHEMA]


def test_the_env_example_names_every_variable_once_and_cannot_work_by_accident() -> None:
    text = env_example()
    names = re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE)
    assert names == [row.variable for row in SCHEMA]
    active = dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert active.keys() == REQUIRED.keys()
    with pytest.raises(SettingsError) as error:
        load(active, config_file=CONFIG_FILE)
    assert len(error.value.problems) == len(REQUIRED)


def test_the_commented_lines_of_the_env_example_work() -> None:
    commented = dict(re.findall(r"^#([A-Z_]+)=(.*)$", env_example(), re.MULTILINE))
    load(REQUIRED | commented, config_file=CONFIG_FILE)


def test_each_line_of_the_table_has_three_cells() -> None:
    lines = settings_table().splitlines()
    assert len(lines) == len(SCHEMA) + 2
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in lines)


def test_both_files_are_rewritten_in_place(tmp_path: Path) -> None:
    page, example = tmp_path / "settings.md", tmp_path / ".env.example"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    assert main([str(page), str(example)]) == 0
    assert page.read_text(encoding="utf-8") == (
        f"before\n{BEGIN}\n{settings_table()}{END}\nafter\n"
    )
    assert example.read_text(encoding="utf-8") == env_example()


def test_a_page_without_a_place_for_the_table_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "settings.md"
    page.write_text("mine", encoding="utf-8")
    assert main([str(page)]) != 0
    assert page.read_text(encoding="utf-8") == "mine"
    with pytest.raises(RefusedError, match="no place"):
        rewrite("mine", "settings.md")
