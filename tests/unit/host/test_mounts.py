from pathlib import Path

from sidecar.host.mounts import containing, mounts

MOUNTINFO = r"""
22 1 0:20 / / rw,relatime - overlay overlay rw,lowerdir=/a
30 22 8:1 /home/me/nginx /etc/nginx rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw
31 30 8:1 /home/me/a\040b\134.conf /etc/nginx/a\040b\134.conf rw - ext4 /dev/sda1 rw
32 22 0:40 / /var/lib/ha rw - tmpfs tmpfs rw
33 32 0:41 / /var/lib/ha rw - nfs4 server:/export rw
"""


def test_mount_points_are_read_with_their_file_systems(tmp_path: Path) -> None:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTINFO.lstrip())
    assert mounts(path) == {
        "/": "overlay",
        "/etc/nginx": "ext4",
        "/etc/nginx/a b\\.conf": "ext4",
        "/var/lib/ha": "nfs4",
    }


def test_a_path_lies_below_the_nearest_mount_point() -> None:
    mounted = {"/": "overlay", "/proc": "proc"}
    assert containing(Path("/proc"), mounted) == "/proc"
    assert containing(Path("/proc/self/.."), mounted) == "/proc"
    assert containing(Path("/etc/x"), mounted) == "/"


def test_this_machine_has_a_root_and_a_proc() -> None:
    assert mounts()["/proc"] == "proc"
    assert "/" in mounts()
