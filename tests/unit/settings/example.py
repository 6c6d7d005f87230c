"""The settings that the tests start from."""

from pathlib import Path

from sidecar.settings.load import Loaded, load

CONFIG_FILE = Path(__file__).parents[3] / "config" / "sidecar.yaml"

REQUIRED = {
    "HA_NODES": "192.168.1.11,192.168.1.12",
    "HA_VIP": "192.168.1.10",
    "HA_SECRET": "6d1f0c4be2a95387" * 4,
}


def load_with(**variables: str) -> Loaded:
    """Load the three required settings with others on top."""
    return load(REQUIRED | variables, config_file=CONFIG_FILE)
