"""What changed, and how it is told."""

import os
from dataclasses import replace

import pytest

from sidecar.core.history.change import (
    MAX_DIFF,
    ChangeKind,
    changes,
    compare,
    describe,
    printable,
    summarise,
)
from sidecar.core.history.manifest import check
from sidecar.core.history.snapshot import Entry
from tests.unit.trees import ROOT, directory, file, link, snapshot, tree

type Entries = dict[str, Entry | str]

CASES: list[tuple[Entries, Entries, ChangeKind, str]] = [
    ({}, {"a.conf": "x"}, ChangeKind.ADDED, "added    a.conf"),
    ({"a.conf": "x"}, {}, ChangeKind.DELETED, "deleted  a.conf"),
    ({"a.conf": "x"}, {"a.conf": "y"}, ChangeKind.EDITED, "edited   a.conf"),
    ({"a.conf": "x"}, {"b.conf": "x"}, ChangeKind.RENAMED, "renamed  a.conf -> b.conf"),
    ({"k": file("x", 0o644)}, {"k": file("x", 0o600)}, ChangeKind.MODE, "mode     k: 0644 -> 0600"),
    ({"d": directory(0o755)}, {"d": directory(0o700)}, ChangeKind.MODE, "mode     d: 0755 -> 0700"),
    ({"l": link("a")}, {"l": link("b")}, ChangeKind.TURNED, "turned   l: a -> b"),
    ({"p": "x"}, {"p": directory()}, ChangeKind.SWAPPED, "swapped  p: file -> directory"),
    ({}, {"l": link("../a")}, ChangeKind.ADDED, "added    l -> ../a"),
    ({}, {"d": directory()}, ChangeKind.ADDED, "added    d/"),
    ({"d": directory()}, {}, ChangeKind.DELETED, "deleted  d/"),
]


@pytest.mark.parametrize(("old", "new", "kind", "line"), CASES)
def test_each_change_has_its_word(old: Entries, new: Entries, kind: ChangeKind, line: str) -> None:
    found = changes(tree(old), tree(new))
    assert [change.kind for change in found] == [kind]
    assert describe(found, [ROOT]) == (line,)


def test_equal_trees_have_no_changes() -> None:
    assert changes(tree({"a": "x"}), tree({"a": "x"})) == ()
    assert summarise((), [ROOT]) == "nothing"


def test_content_and_mode_at_once_is_an_edit() -> None:
    (change,) = changes(tree({"a": file("x", 0o644)}), tree({"a": file("y", 0o600)}))
    assert change.kind is ChangeKind.EDITED


def test_a_renamed_file_may_have_another_mode() -> None:
    (change,) = changes(tree({"a": file("x", 0o644)}), tree({"b": file("x", 0o600)}))
    assert (change.kind, change.source, change.path) == (
        ChangeKind.RENAMED,
        f"{ROOT}/a",
        f"{ROOT}/b",
    )


def test_copies_are_renamed_one_by_one_and_the_rest_is_added() -> None:
    found = changes(tree({"a": "x", "b": "x"}), tree({"c": "x", "d": "x", "e": "x"}))
    assert describe(found, [ROOT]) == ("renamed  a -> c", "renamed  b -> d", "added    e")


def test_empty_files_are_not_renamed() -> None:
    found = changes(tree({"a": ""}), tree({"b": ""}))
    assert describe(found, [ROOT]) == ("deleted  a", "added    b")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            {"conf.d/a.conf": "1", "x": "2"},
            {"conf.d/a.conf": "3", "p": "4", "q": "5", "r": "6"},
            "edited conf.d/a.conf, added 3, deleted x",
        ),
        ({}, {"new/site.conf": "x"}, "added new/site.conf"),
        ({}, {"new/empty": directory()}, "added new/empty"),
        ({"a": "1", "b": "1"}, {"c": "1", "d": "1"}, "renamed 2"),
        ({"k": file("x")}, {"k": file("x", 0o600)}, "changed the mode of k"),
        ({"l": link("a")}, {"l": link("b")}, "turned the link l"),
        ({"p": "x"}, {"p/q": "y"}, "added p/q"),
    ],
)
def test_a_summary_is_one_line(old: Entries, new: Entries, line: str) -> None:
    assert summarise(changes(tree(old), tree(new)), [ROOT]) == line


def test_with_several_roots_paths_are_told_in_full() -> None:
    found = changes({}, tree({"a": "x"}))
    assert summarise(found, ["/etc/letsencrypt", ROOT]) == "added /etc/nginx/a"


def test_a_summary_of_any_names_fits_a_snapshot() -> None:
    ugly = os.fsdecode(b"caf\xe9\x1b[2J\n\t") + "\u202e" + "x" * 200
    entries: Entries = {"a": file("1"), "m": file("x", 0o600)}
    found = changes(tree(entries), tree({ugly: "2", "a": "3", "m": file("x")}))
    line = summarise(found, [ROOT])
    check(replace(snapshot({}), summary=line))


def test_names_do_not_control_the_terminal() -> None:
    found = changes({}, tree({"a\x1b[2J\n": link("\x07")}))
    assert describe(found, [ROOT]) == (r"added    a\x1b[2J\n -> \x07",)
    assert printable(os.fsdecode(b"caf\xe9 \xc3\xa9")) == "caf\\xe9 \u00e9"


def test_contents_are_compared_line_by_line() -> None:
    lines = compare("conf.d/a.conf", b"one\ntwo\n", b"one\n\tthree\x1b\n")
    assert lines == (
        "--- a/conf.d/a.conf",
        "+++ b/conf.d/a.conf",
        "@@ -1,2 +1,2 @@",
        " one",
        "-two",
        r"+" + "\t" + r"three\x1b",
    )


def test_a_missing_newline_at_the_end_is_a_difference() -> None:
    assert compare("a", b"x", b"x\n")[-2:] == ("-x (no newline at the end)", "+x")
    assert compare("a", b"", b"x\n")[-1] == "+x"
    assert compare("a", b"x\n", b"x\n") == ()


KEY = b"-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (KEY, b"", "a: not shown: secret (a private key), 64 -> 0 bytes"),
        (b"", KEY, "a: not shown: secret (a private key), 0 -> 64 bytes"),
        (KEY * 2000, b"\0", "a: not shown: secret (a private key), 128000 -> 1 bytes"),
        (b"x", b"y" * (MAX_DIFF + 1), "a: 1 -> 65537 bytes, too large to show"),
        (b"\0", b"ab", "a: 1 -> 2 bytes, not text"),
        (b"ab", b"\xff", "a: 2 -> 1 bytes, not text"),
    ],
)
def test_what_cannot_be_shown_is_told(old: bytes, new: bytes, line: str) -> None:
    assert compare("a", old, new) == (line,)


def test_what_is_secret_by_its_name_is_not_shown() -> None:
    assert compare(f"{ROOT}/accounts/x/regr.json", b"{}", b"", [ROOT]) == (
        "accounts/x/regr.json: not shown: secret (by its directory), 2 -> 0 bytes",
    )


def test_a_secret_in_a_line_is_not_shown() -> None:
    lines = compare("a", b"password one\n", b"password two\n")
    assert lines[3:] == ("-password (secret)", "+password (secret)")
