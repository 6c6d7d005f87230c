import re
from pathlib import Path

import pytest
import yaml

from sidecar.errors import SettingsError
from sidecar.settings.document import env_example
from sidecar.settings.load import load
from sidecar.settings.schema import SCHEMA
from tests.unit.settings.example import CONFIG_FILE, REQUIRED

ROOT = Path(__file__).parents[3]


def test_the_env_example_is_up_to_date() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example()


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
