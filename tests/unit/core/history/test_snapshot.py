"""Manifests: one text per snapshot, and nothing else is believed."""

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.digest import is_id
from sidecar.core.history import manifest as module
from sidecar.core.history.manifest import (
    MAX_HEADER,
    MAX_TEXT,
    check,
    decode,
    decode_header,
    encode,
    fingerprint,
    has_tree,
    having,
    identify,
    without_tree,
)
from sidecar.core.history.snapshot import MAX_BYTES, MAX_PATHS, Entry, Kind, Snapshot
from tests.unit.trees import ROOT, directory, file, link, snapshot, tree

FULL = Snapshot(
    roots=("/etc/letsencrypt", ROOT),
    tree={
        "/etc/letsencrypt/key.pem": file("secret", 0o600),
        **tree(
            {
                "nginx.conf": "events {}",
                "conf.d/site.conf": "server {}",
                "empty": directory(0o700),
                "sites-enabled/site": link("../sites-available/site"),
                "modules": link("/usr/lib/nginx/modules"),
                os.fsdecode(b"caf\xe9"): "not UTF-8",
                "caf\u00e9 \U0001f600\n": link("\u00e9"),
            }
        ),
    },
    parents=("0" * 64, "f" * 64),
    node="192.0.2.11",
    time=1764000000.25,
    summary="edited conf.d/site.conf",
)

_NAMES = st.binary(min_size=1, max_size=8).filter(lambda name: not set(name) & set(b"/\0"))
_ENTRIES = st.one_of(
    st.builds(file, st.sampled_from(["", "x", "y"]), st.integers(0, 0o777)),
    st.builds(directory, st.integers(0, 0o777)),
    st.builds(link, _NAMES.map(os.fsdecode)),
)


def header_with(**fields: object) -> bytes:
    header = json.loads(without_tree(encode(FULL)))
    return dump({**header, **fields}) + b"\n"


def text_with(entries: object, roots: tuple[str, ...] = (ROOT,)) -> bytes:
    return text_of(dump(entries), roots)


def text_of(body: bytes, roots: tuple[str, ...] = (ROOT,)) -> bytes:
    header = header_with(roots=roots, tree=identify(body))
    return header + body + b"\n"


def dump(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def test_a_snapshot_survives_its_text() -> None:
    text = encode(FULL)
    assert decode(text) == FULL
    assert encode(decode(text)) == text
    assert text.isascii()


def test_the_first_release_s_text_is_what_later_ones_must_read() -> None:
    value = snapshot({"a": "x", "b/c": link("../a")}, "0" * 64)
    assert encode(value) == (
        b'{"format":1,"node":"192.0.2.11","parents":["' + b"0" * 64 + b'"],"roots":["/etc/nginx"],'
        b'"summary":"","time":1.0,'
        b'"tree":"61719952d1c9bd149e07b4eee37a165e896f1431bd95b761de13f1aa9d72bf23"}\n'
        b'{"/etc/nginx/a":{"digest":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",'
        b'"kind":"file","mode":420,"size":1},'
        b'"/etc/nginx/b":{"kind":"directory","mode":493},'
        b'"/etc/nginx/b/c":{"kind":"link","target":"../a"}}\n'
    )
    assert identify(encode(value)) == (
        "8950085c3871b25b4da8a7c285d4a7198f9353b441622650a7d5e9f718ee104a"
    )


@given(st.dictionaries(_NAMES.filter(lambda name: name not in {b".", b".."}), _ENTRIES))
def test_any_tree_of_a_disk_survives(entries: dict[bytes, Entry]) -> None:
    value = snapshot({os.fsdecode(name): entry for name, entry in entries.items()})
    check(value)
    assert decode(encode(value)) == value


_HARD_NAMES = st.text('ab}{,:"\\\n\u00e9', min_size=1, max_size=6)
_HARD_TREES = st.dictionaries(
    _HARD_NAMES, st.one_of(st.just(file("x")), st.just(directory()), st.builds(link, _HARD_NAMES))
)


@given(_HARD_TREES, _HARD_TREES)
def test_a_text_tells_which_versions_it_has(
    mine: Mapping[str, Entry], others: Mapping[str, Entry]
) -> None:
    value, asked = snapshot(mine), {*tree(mine).items(), *tree(others).items()}
    assert having(encode(value), asked) == asked & value.tree.items()
    assert having(without_tree(encode(value)), asked) == frozenset()


def test_the_id_is_that_of_the_header_which_holds_the_hash_of_the_tree() -> None:
    text = encode(FULL)
    assert identify(text) == identify(without_tree(text))
    assert is_id(identify(text))
    assert decode_header(text).tree == fingerprint(FULL.tree)
    assert identify(encode(replace(FULL, tree={}))) != identify(text)


def test_a_pruned_manifest_still_proves_its_ancestry() -> None:
    text = without_tree(encode(FULL))
    assert not has_tree(text)
    assert has_tree(encode(FULL))
    assert decode_header(text).parents == FULL.parents
    assert decode_header(text) == decode_header(encode(FULL))
    with pytest.raises(ValueError, match="no longer kept"):
        decode(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b"{\n",
        b"{}\n",
        b"\xff\xfe\n",
        b"[" * 200_000 + b"\n",
        encode(FULL).rstrip(b"\n"),
        encode(FULL) + b"\n",
        encode(FULL) + b"{}",
        encode(FULL).replace(b"server", b"SERVER", 1).replace(b'"mode":420', b'"mode":421', 1),
        without_tree(encode(FULL)).rstrip(b"\n"),
        encode(FULL).replace(b'":', b'": ', 1),
        b"{}" + encode(FULL),
    ],
)
def test_what_is_not_a_canonical_text_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the causes differ with each
        decode(text)


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"format": 2}, "format 2, this version knows up to 1"),
        ({"format": 0}, "not a manifest of format 1"),
        ({"format": True}, "not a manifest of format 1"),
        ({"format": "1"}, "not a manifest of format 1"),
        ({"more": 1}, "canonical"),
        ({"time": 7}, "canonical"),
        ({"roots": []}, "roots"),
        ({"roots": [ROOT, "/etc/letsencrypt"]}, "roots"),
        ({"roots": [ROOT, ROOT]}, "roots"),
        ({"roots": ["/etc", ROOT]}, "below another"),
        ({"roots": ["/"]}, "normalised"),
        ({"roots": ["etc"]}, "normalised"),
        ({"roots": ["/etc/../etc"]}, "normalised"),
        ({"roots": ["/etc/"]}, "normalised"),
        ({"roots": [""]}, "normalised"),
        ({"roots": ["/etc/\0"]}, "name of a file"),
        ({"roots": "/etc"}, "Expected `array`"),
        ({"tree": "x"}, "hash"),
        ({"tree": "F" * 64}, "hash"),
        ({"parents": ["x"]}, "parents"),
        ({"parents": ["0" * 63 + "\n"]}, "parents"),
        ({"parents": ["1" * 64, "0" * 64]}, "parents"),
        ({"parents": ["0" * 64, "0" * 64]}, "parents"),
        ({"time": -1.0}, "out of range"),
        ({"time": 1e12}, "out of range"),
        ({"time": math.inf}, "Infinity is not a number"),
        ({"time": math.nan}, "NaN is not a number"),
        ({"node": "n" * 65}, "node"),
        ({"node": "\x1b[2J"}, "node"),
        ({"summary": "s" * 1001}, "summary"),
        ({"summary": "two\nlines"}, "summary"),
        ({"summary": "\udc80"}, "summary"),
    ],
)
def test_a_header_that_is_wrong_is_refused(fields: Mapping[str, Any], cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        decode_header(header_with(**fields))


def test_a_number_too_large_for_a_float_is_no_time() -> None:
    text = header_with(time=1.5).replace(b"1.5", b"1e999")
    with pytest.raises(ValueError, match="out of range"):
        decode_header(text)


DIRECTORY = {"kind": "directory", "mode": 0o755}
LINK = {"kind": "link", "target": "x"}
FILE = {"kind": "file", "digest": "0" * 64, "mode": 0o644, "size": 1}


@pytest.mark.parametrize("name", ["", "/", "/a", "a/", "a//b", "a/../b", "./a", "a\0", "\ud800"])
def test_a_path_that_no_disk_has_is_refused(name: str) -> None:
    entries = {f"{ROOT}/a": DIRECTORY, f"{ROOT}/{name}": DIRECTORY}
    with pytest.raises(ValueError, match=r"path|name of a file|directory of the set"):
        decode(text_with(entries))


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/nginx",
        "/etc/nginx-other/a",
        "/etc/nginx/missing/a",
        "/etc/nginx/file/a",
        "/etc/nginx/link/a",
        "etc/nginx/a",
        "/",
        "",
        f"{ROOT}/{'x' * 4096}",
        f"{ROOT}/{'\u00e9' * 2048}",
    ],
)
def test_a_path_that_is_not_in_a_directory_of_the_set_is_refused(path: str) -> None:
    entries = {f"{ROOT}/file": FILE, f"{ROOT}/link": LINK, path: FILE}
    with pytest.raises(ValueError, match=r"directory of the set|path|name of a file"):
        decode(text_with(entries))


def test_two_names_for_one_file_are_refused() -> None:
    disguised = "\u00e9".encode().decode("ascii", "surrogateescape")
    assert os.fsencode(disguised) == os.fsencode("\u00e9")
    with pytest.raises(ValueError, match="name of a file"):
        decode(text_with({f"{ROOT}/{disguised}": FILE}))


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {},
        {"kind": "fifo"},
        {"kind": []},
        {**FILE, "owner": 0},
        {**FILE, "target": "x"},
        {**FILE, "target": ""},
        {**FILE, "digest": "0" * 63},
        {**FILE, "digest": "F" * 64},
        {**FILE, "digest": 1},
        {**FILE, "size": -1},
        {**FILE, "size": 1.0},
        {**FILE, "size": True},
        {**FILE, "size": MAX_BYTES + 1},
        {**FILE, "mode": 0o1000},
        {**FILE, "mode": 0o4755},
        {**FILE, "mode": -1},
        {**FILE, "mode": "0644"},
        {**FILE, "mode": True},
        {**FILE, "size": 2},
        {"kind": "file", "mode": 0o644, "size": 1},
        {**DIRECTORY, "mode": 0o2755},
        {**DIRECTORY, "digest": "0" * 64},
        {**DIRECTORY, "size": 1},
        {**DIRECTORY, "target": "x"},
        {"kind": "directory"},
        {**LINK, "target": ""},
        {**LINK, "target": None},
        {**LINK, "target": "a\0b"},
        {**LINK, "target": "x" * 4097},
        {**LINK, "target": "\ud800"},
        {**LINK, "mode": 0o777},
        {"kind": "link"},
    ],
)
def test_an_entry_that_is_wrong_is_refused(entry: object) -> None:
    text = text_with({f"{ROOT}/a": FILE, f"{ROOT}/b": entry})
    with pytest.raises(ValueError):  # noqa: PT011 - the causes differ with each
        decode(text)


@pytest.mark.parametrize(
    "entry",
    [
        Entry(kind=Kind.FILE, digest="F" * 64, mode=0o644),
        Entry(kind=Kind.FILE, digest="0" * 64, mode=0o644, size=-1),
        Entry(kind=Kind.FILE, digest="0" * 64, mode=0o4755),
        Entry(kind=Kind.FILE, digest="0" * 64, mode=0o644, target="x"),
        Entry(kind=Kind.DIRECTORY, mode=0o755, size=1),
        Entry(kind=Kind.LINK, target=""),
        Entry(kind=Kind.LINK, target="x", mode=0o777),
    ],
)
def test_an_entry_that_is_wrong_is_not_kept_either(entry: Entry) -> None:
    with pytest.raises(ValueError, match=ROOT):
        check(snapshot({"a": entry}))


def test_a_header_that_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(ValueError, match="too deep"):
        decode_header(b"[" * (MAX_HEADER - 1) + b"\n")


def test_an_entry_that_is_right_is_taken() -> None:
    decode(text_with({f"{ROOT}/a": FILE, f"{ROOT}/b": FILE, f"{ROOT}/c": LINK}))


@pytest.mark.parametrize("damage", [lambda text: text[:-20] + b"\n", lambda text: text[:-9]])
def test_a_torn_tree_is_noticed(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ValueError, match="hash"):
        decode_header(damage(encode(FULL)))


def test_a_set_that_is_too_large_is_refused() -> None:
    many = replace(FULL, tree=tree({str(number): directory() for number in range(MAX_PATHS + 1)}))
    with pytest.raises(ValueError, match="20001 paths"):
        check(many)
    large = Entry(kind=Kind.FILE, digest="0" * 64, size=MAX_BYTES // 2 + 1)
    with pytest.raises(ValueError, match="bytes in all files"):
        check(replace(FULL, tree=tree({"a": large, "b": large})))


def test_a_set_whose_names_are_too_long_is_refused() -> None:
    names = (f"{number:05}{'x' * 600}" for number in range(MAX_PATHS))
    with pytest.raises(ValueError, match=f"at most {MAX_TEXT}"):
        check(replace(FULL, tree=tree({name: directory() for name in names})))


def test_a_header_that_is_too_long_is_not_even_read() -> None:
    with pytest.raises(ValueError, match=f"at most {MAX_HEADER}"):
        decode_header(b"[" * (MAX_HEADER + 1) + b"\n")


def tiny(path: str) -> bytes:
    return f'"{path}":{{"kind":"directory","mode":0}}'.encode()


A, B = tiny(f"{ROOT}/a"), tiny(f"{ROOT}/b")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}}",
        b"{" + A,
        b"{" + A + b",}",
        b"{," + A + b"}",
        b"{" + A + B + b"}",
        b"[" + A + b"}",
        b"{" + B + b"," + A + b"}",
        b"{" + A + b"," + A + b"}",
        b"{" + A + b"} ",
        b"{ " + A + b"}",
        b"{" + A.replace(b":0", b":00") + b"}",
        b"{" + A.replace(b":0", b":1e1") + b"}",
        b"{" + A.replace(b"/a", rb"/\u0061") + b"}",
        b"{" + A.replace(b"/a", rb"/\u00E9") + b"}",
        b"{" + A.replace(b"/a", rb"\/a") + b"}",
        b"{" + A.replace(b"/a", b"/\x7f") + b"}",
        b"{" + A.replace(b"/a", b"/\xe9") + b"}",
    ],
)
def test_a_tree_that_is_not_in_canonical_form_is_refused(body: bytes) -> None:
    decode(text_of(b"{" + A + b"," + B + b"}"))
    with pytest.raises(ValueError):  # noqa: PT011 - the causes differ with each
        decode(text_of(body))


def test_no_more_entries_are_read_than_a_set_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PATHS", 2)
    decode(text_of(b"{" + A + b"," + B + b"}"))
    # What lies beyond is not even looked at.
    with pytest.raises(ValueError, match="more than 2 paths"):
        decode(text_of(b"{" + A + b"," + B + b"," + tiny(f"{ROOT}/c") + b",[[["))


def test_a_text_that_is_too_long_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TEXT", 10)
    with pytest.raises(ValueError, match="at most 10"):
        decode(encode(FULL))
