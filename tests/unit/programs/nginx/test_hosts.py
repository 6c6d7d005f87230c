from pathlib import Path

import pytest

from sidecar.core.report import Validity
from sidecar.programs.nginx import by_host


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    """A folder with four certificates; one of them lacks its key."""
    certs = tmp_path / "certs"
    for name in ("app.test", "*.wild.test", "parent.test", "shared", "half.test"):
        (certs / name).mkdir(parents=True)
        (certs / name / "fullchain.pem").touch()
        (certs / name / "privkey.pem").touch()
    (certs / "half.test" / "privkey.pem").unlink()
    return certs


@pytest.mark.parametrize(
    ("host", "name", "found"),
    [
        ("app.test", "", "app.test"),
        ("other.test", "", ""),
        ("half.test", "", ""),
        ("a.wild.test", "", "*.wild.test"),
        ("*.wild.test", "", "*.wild.test"),
        ("a.b.wild.test", "", ""),
        ("a.parent.test", "", "parent.test"),
        ("*.parent.test", "", "parent.test"),
        ("b.app.test", "", ""),
        ("app.test", "shared", "shared"),
        ("app.test", "missing", ""),
        ("single", "", ""),
    ],
)
def test_a_host_gets_its_own_certificate_or_a_wildcards(
    certs: Path, host: str, name: str, found: str
) -> None:
    def names(*hosts: str) -> Validity:
        return Validity(not_before=0, not_after=1, hosts=hosts)

    known = {
        str(certs / "parent.test" / "fullchain.pem"): names("parent.test", "*.parent.test"),
        str(certs / "app.test" / "fullchain.pem"): names("app.test"),
    }
    expected = {host: str(certs / found)} if found else {}
    assert by_host(certs.parent, {host: name}, known) == expected
