"""Guards: what looks like an accident waits for a person."""

import pytest

from sidecar.core.history.guard import Rules, guard, is_stock
from sidecar.core.history.manifest import fingerprint
from sidecar.core.history.snapshot import Entry
from tests.unit.trees import ROOT, digest, directory, link, tree

RULES = Rules(
    roots=("/etc/letsencrypt", ROOT),
    needed=frozenset({f"{ROOT}/nginx.conf"}),
    stock=frozenset({digest("stock")}),
)
CERTIFICATE = tree({"live/cert.pem": "c"}, root="/etc/letsencrypt")
SITES: dict[str, Entry | str] = {f"conf.d/{number}.conf": f"site {number}" for number in range(100)}
BASE = {**CERTIFICATE, **tree({"nginx.conf": "n", **SITES})}


def without(count: int) -> dict[str, Entry]:
    gone = {f"{ROOT}/{name}" for name in list(SITES)[:count]}
    return {path: entry for path, entry in BASE.items() if path not in gone}


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (BASE, {}, "emptied"),
        (BASE, CERTIFICATE, "emptied"),
        (BASE, tree({"nginx.conf": "n", **SITES}), "emptied"),
        (BASE, {**tree({"empty": directory()}), **CERTIFICATE}, "emptied"),
        (tree({"l": link("x")}), {}, "emptied"),
        (BASE, {path: entry for path, entry in BASE.items() if "nginx.conf" not in path}, "gone"),
        (BASE, without(21), "mass-delete"),
        (BASE, without(20), None),
        (BASE, BASE, None),
        ({}, BASE, None),
        ({}, {}, None),
        (tree({"d": directory()}), {}, None),
        (tree({str(n): str(n) for n in range(10)} | {"x": "x"}), tree({"x": "x"}), None),
        (tree({str(n): str(n) for n in range(11)} | {"x": "x"}), tree({"x": "x"}), "mass-delete"),
        (tree({f"{n}": "stock" for n in range(20)}), tree({"nginx.conf": "mine"}), None),
        (tree({f"{n}": "stock" for n in range(20)}), {}, None),
        (tree({"nginx.conf": "stock"}), tree({"a": "b"}), "gone"),
        (
            tree(SITES),
            {path.replace("conf.d", "sites"): e for path, e in tree(SITES).items()},
            None,
        ),
    ],
)
def test_guards(before: dict[str, Entry], after: dict[str, Entry], reason: str | None) -> None:
    hold = guard(before, after, RULES)
    assert (hold is None) is (reason is None)
    if hold is not None and reason is not None:
        assert hold.reason.startswith(reason) or hold.reason.endswith("-gone")
        assert "ha sync release" in hold.hint
        assert guard(before, after, RULES, released=hold.release) is None


def test_a_release_lets_pass_only_what_was_seen() -> None:
    hold = guard(BASE, without(30), RULES)
    assert hold is not None
    assert hold.release == fingerprint(without(30))
    assert hold.message == "30 of 102 files were deleted at once"
    assert guard(BASE, without(31), RULES, released=hold.release) is not None


def test_a_tree_of_stock_files_or_of_none_holds_nothing_that_a_person_wrote() -> None:
    assert is_stock({}, RULES)
    assert is_stock(tree({"nginx.conf": "stock", "conf.d": directory()}), RULES)
    assert not is_stock(tree({"nginx.conf": "stock", "a.conf": "mine"}), RULES)
    assert not is_stock(tree({"l": link("nginx.conf")}), RULES)
