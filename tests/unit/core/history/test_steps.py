import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.history.snapshot import Entry, Kind
from sidecar.core.history.steps import Action, anchor, check_places, difference, plan

ROOTS = ("/r",)
DIRECTORY = Entry(kind=Kind.DIRECTORY, mode=0o755)
LINK = Entry(kind=Kind.LINK, target="a")


def file(content: str, mode: int = 0o644) -> Entry:
    return Entry(kind=Kind.FILE, mode=mode, digest=content * 64, size=1)


def steps(old: dict[str, Entry], new: dict[str, Entry]) -> list[tuple[str, str]]:
    return [(step.action.value, step.path) for step in plan(old, new)]


def test_equal_trees_need_no_step() -> None:
    assert plan({"/r/a": LINK}, {"/r/a": LINK}) == ()


def test_the_order_is_files_links_modes_deletes_directories() -> None:
    old = {
        "/r/gone": DIRECTORY,
        "/r/gone/deep": DIRECTORY,
        "/r/gone/deep/file": file("a"),
        "/r/mode": file("b"),
        "/r/edited": file("c"),
        "/r/turned": LINK,
    }
    new = {
        "/r/mode": file("b", 0o600),
        "/r/edited": file("d"),
        "/r/turned": Entry(kind=Kind.LINK, target="b"),
        "/r/new": DIRECTORY,
        "/r/new/deep": DIRECTORY,
        "/r/new/deep/file": file("e"),
    }
    assert steps(old, new) == [
        ("put", "/r/new"),
        ("put", "/r/new/deep"),
        ("put", "/r/edited"),
        ("put", "/r/new/deep/file"),
        ("put", "/r/turned"),
        ("mode", "/r/mode"),
        ("remove", "/r/gone/deep/file"),
        ("remove", "/r/gone/deep"),
        ("remove", "/r/gone"),
    ]


def test_a_directory_is_emptied_before_a_file_takes_its_place() -> None:
    old = {"/r/a": DIRECTORY, "/r/a/b": DIRECTORY, "/r/a/b/c": file("c")}
    assert steps(old, {"/r/a": file("a")}) == [
        ("remove", "/r/a/b/c"),
        ("remove", "/r/a/b"),
        ("put", "/r/a"),
    ]


def test_a_file_gives_way_before_something_lies_below() -> None:
    new = {"/r/a": DIRECTORY, "/r/a/b": file("b")}
    assert steps({"/r/a": file("a")}, new) == [("put", "/r/a"), ("put", "/r/a/b")]


def test_the_mode_of_a_directory_is_changed_in_place() -> None:
    (step,) = plan({"/r/a": DIRECTORY}, {"/r/a": Entry(kind=Kind.DIRECTORY, mode=0o700)})
    assert step.action is Action.MODE


def test_a_difference_holds_only_what_differs() -> None:
    old = {"/r/same": LINK, "/r/edited": file("a"), "/r/gone": LINK}
    new = {"/r/same": LINK, "/r/edited": file("b"), "/r/new": LINK}
    assert difference(old, new) == (
        {"/r/edited": file("a"), "/r/gone": LINK},
        {"/r/edited": file("b"), "/r/new": LINK},
    )


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/r/a", "/r"),
        ("/r/stays/a", "/r/stays"),
        ("/r/mode/a", "/r/mode"),
        ("/r/new/a", "/r"),
        ("/r/gone/a", "/r"),
        ("/r/swapped/a", "/r"),
        ("/r/stays/new/a", "/r/stays"),
    ],
)
def test_temporary_files_lie_in_a_directory_that_stays(path: str, place: str) -> None:
    old = {"/r/gone": DIRECTORY, "/r/mode": DIRECTORY, "/r/swapped": LINK}
    new = {
        "/r/new": DIRECTORY,
        "/r/mode": Entry(kind=Kind.DIRECTORY, mode=0o700),
        "/r/stays/new": DIRECTORY,
        "/r/swapped": DIRECTORY,
    }
    assert anchor(path, old, new, ROOTS) == place


def test_a_path_outside_the_roots_has_no_place() -> None:
    new = {"/x": DIRECTORY}
    with pytest.raises(ValueError, match="below none of /r"):
        anchor("/x/a", {}, new, ROOTS)


@pytest.mark.parametrize(
    "tree",
    [
        {"/etc/passwd": LINK},
        {"/r/link": LINK, "/r/link/a": LINK},
        {"/r/file": file("a"), "/r/file/a": LINK},
        {"/r/nowhere/a": LINK},
    ],
)
def test_what_does_not_lie_in_a_directory_of_the_set_is_refused(tree: dict[str, Entry]) -> None:
    with pytest.raises(ValueError, match="does not lie in a directory"):
        check_places(tree, ROOTS)


def test_what_lies_in_directories_is_fine() -> None:
    check_places({"/r/a": DIRECTORY, "/r/a/b": LINK, "/r/c": LINK}, ROOTS)


entries = st.sampled_from([DIRECTORY, Entry(kind=Kind.DIRECTORY, mode=0o700), LINK, file("a")])


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Entry]:
    tree: dict[str, Entry] = {}
    for path in ("/r/a", "/r/a/a", "/r/a/a/a", "/r/a/b", "/r/b", "/r/b/a"):
        parent = path.rpartition("/")[0]
        possible = parent == "/r" or tree.get(parent, LINK).kind is Kind.DIRECTORY
        if possible and draw(st.booleans()):
            tree[path] = draw(entries)
    return tree


@given(trees(), trees())
def test_after_each_step_the_tree_is_one_that_can_lie_on_a_disk(
    old: dict[str, Entry], new: dict[str, Entry]
) -> None:
    tree = dict(old)
    for step in plan(*difference(old, new)):
        assert tree.get(step.path) == step.before
        tree.pop(step.path, None)
        if step.after is not None:
            tree[step.path] = step.after
        check_places(tree, ROOTS)
        assert check_anchor(step.path, old, new) <= (tree.keys() | {"/r"})
    assert tree == new


def check_anchor(path: str, old: dict[str, Entry], new: dict[str, Entry]) -> set[str]:
    assert anchor(path, old, new, ROOTS) == anchor(path, *difference(old, new), ROOTS)
    return {anchor(path, old, new, ROOTS)}
