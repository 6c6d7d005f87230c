"""Whether root here, and of the image, is the host's."""

import pytest

from sidecar.host.capabilities import users_are_mapped

ALL = "         0          0 4294967295\n"


@pytest.mark.parametrize(
    ("uid_map", "owner", "expected"),
    [
        (ALL, 0, False),
        ("0 100000 65536\n", 0, True),
        ("0 0 1\n1 100000 65535\n", 0, True),
        (ALL, 100000, True),
    ],
)
def test_a_root_that_is_another_user_of_the_host_is_mapped(
    uid_map: str, owner: int, *, expected: bool
) -> None:
    assert users_are_mapped(uid_map, owner) is expected
