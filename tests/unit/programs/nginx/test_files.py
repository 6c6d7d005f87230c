from pathlib import Path

import pytest

from sidecar.core.settings import Site
from sidecar.host.paths import Paths
from sidecar.programs.nginx import install_stock, remove_sockets
from sidecar.programs.nginx.files import certificate_directories, has_ipv6, hosts, resolvers


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    directory = tmp_path / "stock"
    (directory / "conf.d").mkdir(parents=True)
    (directory / "nginx.conf").write_text("stock")
    (directory / "conf.d/default.conf").write_text("welcome")
    return directory


@pytest.fixture
def target(tmp_path: Path) -> Path:
    directory = tmp_path / "nginx"
    directory.mkdir()
    return directory


def test_an_empty_directory_gets_every_stock_file_nginx_conf_last(
    target: Path, stock: Path
) -> None:
    added = install_stock(target, stock)
    assert added == (target / "conf.d/default.conf", target / "nginx.conf")
    assert [path.read_text() for path in added] == ["welcome", "stock"]


def test_what_a_person_wrote_stays(target: Path, stock: Path) -> None:
    (target / "conf.d").mkdir()
    (target / "conf.d/default.conf").write_text("mine")
    assert install_stock(target, stock) == (target / "nginx.conf",)
    assert (target / "conf.d/default.conf").read_text() == "mine"


def test_nothing_is_added_beside_an_nginx_conf(target: Path, stock: Path) -> None:
    (target / "nginx.conf").write_text("mine")
    assert install_stock(target, stock) == ()
    assert not (target / "conf.d").exists()


def test_a_link_to_nowhere_is_a_persons_too(target: Path, stock: Path) -> None:
    (target / "nginx.conf").symlink_to("gone")
    assert install_stock(target, stock) == ()


def test_only_sockets_of_ours_are_removed(tmp_path: Path) -> None:
    directory = tmp_path / "nginx"
    directory.mkdir()
    for name in ("status.sock", "sites.conf"):
        (directory / name).touch()
    remove_sockets(Paths(run=tmp_path))
    assert [path.name for path in directory.iterdir()] == ["sites.conf"]
    remove_sockets(Paths(run=tmp_path / "absent"))


def test_a_site_has_a_certificate_when_both_files_are_there(tmp_path: Path) -> None:
    for name in ("both/fullchain.pem", "both/privkey.pem", "half/fullchain.pem"):
        path = tmp_path / "certs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    sites = [Site(host=host, url="http://x") for host in ("both", "half", "none")]
    assert certificate_directories(tmp_path, sites) == {"both": str(tmp_path / "certs/both")}


def test_name_servers_are_those_that_nginx_can_ask(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# nameserver 192.0.2.1\nsearch a.test\nnameserver\n"
        "nameserver 192.0.2.53 # first\nnameserver fe80::1%eth0\nnameserver fd00::53\n"
    )
    assert resolvers(path) == ("192.0.2.53", "fd00::53")
    assert resolvers(tmp_path / "absent") == ()


def test_a_name_has_its_first_address(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n\n192.0.2.8 App.test app # x\n192.0.2.9 app\n192.0.2.1\n")
    assert hosts(path) == {
        "localhost": "127.0.0.1",
        "app.test": "192.0.2.8",
        "app": "192.0.2.8",
    }


def test_ipv6_is_there_when_the_kernel_lists_it(tmp_path: Path) -> None:
    assert not has_ipv6(tmp_path / "if_inet6")
    (tmp_path / "if_inet6").touch()
    assert has_ipv6(tmp_path / "if_inet6")
