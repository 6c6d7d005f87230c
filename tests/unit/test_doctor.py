"""`ha doctor` as a person gives it, and what it packs for a bug report."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.doctor.bundle import pack, redacted
from sidecar.host.paths import Paths
from sidecar.settings.digests import digests
from tests.unit.settings.example import CONFIG_FILE, REQUIRED, load_with

SECRET = REQUIRED["HA_SECRET"]


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    for name, value in {**REQUIRED, "HA_NOTIFY": "json://user:pass@example.test/hook"}.items():
        monkeypatch.setenv(name, value)
    return Paths(run=tmp_path, state=tmp_path, nginx=tmp_path, config=CONFIG_FILE.parent)


def test_a_host_that_is_none_of_the_nodes_has_a_problem(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--json"], paths=paths) == 1
    findings = json.loads(capsys.readouterr().out)
    verdicts = {one["check"]: one["verdict"] for one in findings}
    assert verdicts["address"] == "problem"
    assert verdicts["secret"] == "not checked"


def test_the_archive_has_everything_but_secrets(paths: Paths, tmp_path: Path) -> None:
    target = tmp_path / "bundle.tar.gz"
    main(["doctor", "--quiet", "--bundle", str(target)], paths=paths)
    with tarfile.open(target) as archive:
        names = {Path(name).name for name in archive.getnames()}
        assert names >= {"doctor.json", "settings.txt", "version.txt", "nginx.txt", "history.json"}
    everything = gzip.decompress(target.read_bytes()).decode()
    assert "HA_VIP" in everything
    assert SECRET not in everything
    assert "user:pass" not in everything
    assert target.stat().st_mode & 0o777 == 0o600


def test_an_archive_that_cannot_be_written_says_where_it_could_be(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--bundle", "/proc/none/x"], paths=paths) == 70
    assert "--bundle - >" in capsys.readouterr().err


def test_secrets_are_hidden_wherever_they_are() -> None:
    text = "proxy_set_header Authorization 'Bearer abc';\nx hunter2 y\nhttp://me:pw@example.test/"
    shown = redacted(text, ["hunter2"])
    assert not any(word in shown for word in ("abc", "hunter2", "pw"))
    with tarfile.open(fileobj=io.BytesIO(pack({"a.txt": "x\udcff"}, [])), mode="r:gz") as archive:
        member = archive.extractfile("kiss-ha/a.txt")
        assert member is not None
        assert member.read() == b"x\\udcff"


def test_settings_are_compared_by_digests_that_only_the_secret_makes() -> None:
    one, other = load_with(HA_SITES="a.test=http://192.0.2.1").settings, load_with().settings
    differing = {name for name, digest in digests(one).items() if digests(other)[name] != digest}
    assert differing == {"HA_SITES"}
    assert "HA_SECRET" not in digests(one)
    assert not {"HA_NODE", "LOG_LEVEL"} & digests(one).keys()
    elsewhere = load_with(HA_SECRET="another-secret-of-more-than-32-characters").settings
    assert not set(digests(elsewhere).values()) & set(digests(other).values())
    secrets = f"{elsewhere.secrets[0]},{other.secrets[0]}"
    assert not digests(load_with(HA_SECRET=secrets).settings)
