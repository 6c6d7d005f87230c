"""What only a container has: mounts below a root."""

from pathlib import Path

from tests.unit.sync.folder import make, scanned


def test_a_single_file_bind_mount_is_refused() -> None:
    # The container's runtime mounts these three.
    found = {refusal.path: refusal for refusal in scanned(Path("/etc")).refused}
    for name in ("hosts", "hostname", "resolv.conf"):
        refusal = found[f"/etc/{name}"]
        assert refusal.cause.startswith("it is a single-file bind mount")
        assert refusal.hint.endswith(f"or leave it out: HA_SYNC_EXCLUDE=/{name}")


def test_a_directory_that_is_mounted_below_a_root_is_refused() -> None:
    (refusal,) = (one for one in scanned(Path("/etc")).refused if one.path == "/etc/nginx")
    assert refusal.cause.startswith("something else is mounted there")


def test_a_device_is_refused() -> None:
    (refusal,) = (one for one in scanned(Path("/dev")).refused if one.path == "/dev/null")
    assert "mounted" in refusal.cause or refusal.cause == "it is a device"


def test_files_of_others_are_read(directory: Path) -> None:
    make(directory / "root", {"key": ("secret", 0o600)})
    (directory / "root" / "key").chmod(0)
    assert scanned(directory / "root").usable
