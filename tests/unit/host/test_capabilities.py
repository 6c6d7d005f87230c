"""Whether root here, and of the image, is the host's."""

import os
from pathlib import Path

import pytest

from sidecar.host.capabilities import remapped

ALL = "         0          0 4294967295\n"


@pytest.mark.parametrize(
    ("uid_map", "expected"),
    [(ALL, False), ("0 100000 65536\n", True), ("0 0 1\n1 100000 65535\n", True)],
)
def test_a_root_that_is_another_user_of_the_host_is_remapped(
    tmp_path: Path, uid_map: str, *, expected: bool
) -> None:
    path = tmp_path / "uid_map"
    path.write_text(uid_map)
    assert remapped(path, Path("/usr")) is expected


def test_an_image_of_another_user_is_remapped(tmp_path: Path) -> None:
    path = tmp_path / "uid_map"
    path.write_text(ALL)
    if os.geteuid() == 0:
        os.chown(tmp_path, 1, 1)
    assert remapped(path, tmp_path)
