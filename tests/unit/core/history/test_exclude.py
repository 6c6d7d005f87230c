import pytest

from sidecar.core.history.exclude import DEFAULT_EXCLUDE, excluder, leave_alone, left_out
from sidecar.core.history.snapshot import Entry
from tests.unit.trees import ROOT, tree

FILE = False


@pytest.mark.parametrize(
    ("pattern", "path", "directory", "excluded"),
    [
        ("*.swp", "/conf.d/.a.conf.swp", False, True),
        ("*.swp", "/a.swp", False, True),
        ("*.swp", "/a.swp.conf", False, False),
        ("*.swp", "/a.swp", True, True),
        ("cache/", "/deep/cache", True, True),
        ("cache/", "/deep/cache", False, False),
        ("/old", "/old", False, True),
        ("/old", "/deep/old", False, False),
        ("/conf.d/*.bak", "/conf.d/a.bak", False, True),
        ("/conf.d/*.bak", "/conf.d/deep/a.bak", False, False),
        ("conf.d/*.bak", "/deep/conf.d/a.bak", False, True),
        ("conf.d/*.bak", "/deep/xconf.d/a.bak", False, False),
        ("/conf.d/**.bak", "/conf.d/deep/a.bak", False, True),
        ("sites/old/", "/sites/old", True, True),
        ("sites/old/", "/sites/old", False, False),
        ("a?c", "/abc", False, True),
        ("a?c", "/ac", False, False),
        ("a[0-9x]", "/a5", False, True),
        ("a[0-9x]", "/ax", False, True),
        ("a[0-9x]", "/a-", False, False),
        ("a[!0-9]", "/a5", False, False),
        ("a[^0-9]", "/ab", False, True),
        ("a[]x]", "/a]", False, True),
        ("a[b", "/a[b", False, True),
        (r"a\*", "/a*", False, True),
        (r"a\*", "/ab", False, False),
        ("a.b", "/axb", False, False),
        ("*", "/name\nwith a line end", False, True),
        ("/", "/a", True, False),
        ("", "/a", True, False),
    ],
)
def test_a_pattern_means_what_it_means_to_rsync(
    pattern: str, path: str, directory: bool, excluded: bool
) -> None:
    assert excluder((pattern,))(path, directory) is excluded


@pytest.mark.parametrize(
    "path",
    [
        "/.nginx.conf.swp",
        "/conf.d/4913",
        "/conf.d/site.conf~",
        "/conf.d/.#site.conf",
        "/conf.d/#site.conf#",
        "/conf.d/.site.conf.kate-swp",
        "/conf.d/.goutputstream-ABC123",
        "/.DS_Store",
    ],
)
def test_what_editors_drop_is_left_alone(path: str) -> None:
    assert excluder(DEFAULT_EXCLUDE)(path, FILE)


def test_our_own_temporary_files_are_left_alone_whatever_the_settings() -> None:
    assert excluder(())("/conf.d/.ha-0123456789abcdef", FILE)


@pytest.mark.parametrize("path", ["/nginx.conf", "/.htpasswd", "/conf.d/a.conf", "/ssl/key.pem"])
def test_configuration_is_not_left_alone(path: str) -> None:
    assert not excluder(DEFAULT_EXCLUDE)(path, FILE)


OUT = excluder(("*.bak", "cache/"))


def test_what_lies_in_an_excluded_directory_is_left_out_too() -> None:
    found = tree({"a.bak": "x", "cache/deep/file": "y", "cache.conf": "z", "d/b.bak": "b"})
    assert left_out(found, (ROOT,), OUT) == {
        f"{ROOT}/{name}" for name in ("a.bak", "cache", "cache/deep", "cache/deep/file", "d/b.bak")
    }


@pytest.mark.parametrize(
    ("wanted", "base", "result"),
    [
        ({"a": "1", "a.bak": "1"}, {"a": "2"}, {"a": "1"}),
        ({"a": "1", "a.bak": "1"}, {"a": "2", "a.bak": "2"}, {"a": "1", "a.bak": "2"}),
        ({"a": "1"}, {"d/a": "2", "d/a.bak": "2"}, {"a": "1", "d/a.bak": "2"}),
        ({"d": "1"}, {"d/a.bak": "2"}, {"d": "1"}),
        ({"a": "1"}, {"cache/x": "2"}, {"a": "1", "cache/x": "2"}),
        ({"a": "1"}, {"d/cache/x": "2"}, {"a": "1", "d/cache/x": "2"}),
        ({"d/b": "1"}, {"d/a.bak": "2"}, {"d/b": "1", "d/a.bak": "2"}),
    ],
)
def test_what_is_left_out_stays_as_it_is(
    wanted: dict[str, Entry | str], base: dict[str, Entry | str], result: dict[str, Entry | str]
) -> None:
    assert leave_alone(tree(wanted), tree(base), (ROOT,), OUT) == tree(result)
