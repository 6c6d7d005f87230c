import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.errors import SidecarError
from sidecar.host.rename import Place, Renamer
from sidecar.sync.apply import Applied, Moved
from sidecar.sync.recover import forget
from tests.unit.sync.applying import CrashError, World, all_the_way, crash_at, crash_on, one_more
from tests.unit.sync.folder import Spec, look, make, told


@pytest.fixture(params=[True, False], ids=["exchange", "by-hand"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    made = World(tmp_path)
    made.renamer = Renamer(native=request.param)
    return made


def test_the_live_tree_becomes_the_wanted_one(world: World) -> None:
    all_the_way(world.apply())
    assert told(world.root) == world.new
    assert look(world.root) == world.wanted
    assert world.recover() is None


def test_what_was_done_is_told_in_order(world: World) -> None:
    result = world.apply().write()
    assert isinstance(result, Applied)
    names = [path.removeprefix(f"{world.root}/") for path in result.paths]
    assert set(names) == {
        *(path.removeprefix(f"{world.root}/") for path in world.current.keys() | world.wanted),
    } - {"kept.d"}
    assert names.index("new.d") < names.index("new.d/deep/file") < names.index("link")
    assert names.index("mode") < names.index("gone.d/deep/file") < names.index("gone.d")


def test_a_refused_change_leaves_no_trace(world: World) -> None:
    inode = (world.root / "nginx.conf").stat().st_ino
    change = world.apply()
    change.write()
    assert change.revert() == ()
    assert told(world.root) == world.old
    assert (world.root / "nginx.conf").stat().st_ino == inode
    assert world.recover() is None


def test_displaced_files_become_objects(world: World) -> None:
    world.apply().write()
    assert all(world.objects.has(entry.digest) for entry in world.current.values() if entry.digest)


def test_temporary_files_are_never_scanned(world: World) -> None:
    world.apply().write()
    assert any(name.startswith(".ha-") for name in told(world.root))
    assert look(world.root) == world.wanted


class TestSomebodyEdits:
    def test_before_anything_is_touched(self, world: World) -> None:
        (world.root / "nginx.conf").write_text("edited")
        before = told(world.root)
        result = world.apply().write()
        assert result == Moved(path=f"{world.root}/nginx.conf")
        assert told(world.root) == before
        assert world.recover() is None

    @pytest.mark.parametrize(
        "name",
        [
            "nginx.conf",
            "mode",
            "link",
            "link-to-file",
            "gone",
            "gone-link",
            "gone.d/deep/file",
            "kept.d/a",
            "kept.d/b",
            "kept.d/c",
            "new",
            "file-to-dir",
            "dir-to-file/deep/x",
        ],
    )
    def test_just_before_the_rename(self, world: World, name: str) -> None:
        path = world.root / name

        def edit(checkpoint: str) -> None:
            if checkpoint == "applying":
                path.unlink(missing_ok=True)
                path.write_text("edited")

        assert world.apply(edit).write() == Moved(path=str(path))
        assert told(world.root) == world.old | {name: ("edited", 0o644)}

    @pytest.mark.parametrize("name", ["nginx.conf", "gone", "link", "empty-to-file/x"])
    def test_between_the_last_look_and_the_rename(self, tmp_path: Path, name: str) -> None:
        world = World(tmp_path)
        path = world.root / name

        class TooLate(Renamer):
            edited = False

            def exchange(self, temporary: Place, place: Place) -> None:
                self._edit(place)
                super().exchange(temporary, place)

            def move(self, source: Place, target: Place) -> None:
                self._edit(source)
                super().move(source, target)

            def _edit(self, place: Place) -> None:
                if not self.edited and place[1] == name.partition("/")[0]:
                    path.unlink(missing_ok=True)
                    path.write_text("edited")
                    self.edited = True

        world.renamer = TooLate()
        moved = world.root / name.partition("/")[0]
        assert world.apply().write() == Moved(path=str(moved))
        assert told(world.root) == world.old | {name: ("edited", 0o644)}

    def test_a_new_file_where_one_will_be_placed(self, world: World) -> None:
        (world.root / "new").write_text("mine")
        assert world.apply().write() == Moved(path=f"{world.root}/new")
        assert (world.root / "new").read_text() == "mine"

    def test_while_nginx_tests(self, world: World) -> None:
        change = world.apply()
        change.write()
        (world.root / "nginx.conf").write_text("edited")
        (world.root / "new").unlink()
        assert change.revert() == (f"{world.root}/nginx.conf",)
        assert told(world.root) == world.old | {"nginx.conf": ("edited", 0o644)}

    def test_between_a_crash_and_the_start(self, world: World) -> None:
        with pytest.raises(CrashError):
            world.apply(crash_on("put " + str(world.root / "link"))).write()
        (world.root / "key").write_text("edited")
        recovery = world.recover()
        assert recovery is not None
        assert recovery.kept == (f"{world.root}/key",)
        assert told(world.root) == world.old | {"key": ("edited", 0o600)}

    @pytest.mark.parametrize("native", [True, False])
    @pytest.mark.parametrize("crash", ["preparing", "applying", "put {root}/new.d"])
    def test_what_a_person_made_before_the_crash_is_not_taken_for_ours(
        self, tmp_path: Path, crash: str, native: bool
    ) -> None:
        world = World(tmp_path)
        world.renamer = Renamer(native=native)
        with pytest.raises(CrashError):
            world.apply(crash_on(crash.format(root=world.root))).write()
        for name in ("nginx.conf", "new"):  # by hand what the peer had
            (world.root / name).write_text("new")
        world.recover()
        assert told(world.root) == world.old | {
            "nginx.conf": ("new", 0o644),
            "new": ("new", 0o644),
        }

    def test_what_a_person_made_meanwhile_stays_where_an_apply_gives_up(self, world: World) -> None:
        for name in ("gone.d/deep/file", "new"):
            (world.root / name).write_text("new")
        before = told(world.root)
        assert isinstance(world.apply().write(), Moved)
        assert told(world.root) == before

    def test_a_file_that_was_open_when_it_was_displaced(self, world: World) -> None:
        with (world.root / "nginx.conf").open("a") as file, (world.root / "gone").open("a") as gone:
            change = world.apply()
            change.write()
            file.write(" and more")
            gone.write(" but no")
        change.commit()
        assert (world.root / "nginx.conf").read_text() == "old and more"
        assert (world.root / "gone").read_text() == "gone but no"

    def test_a_directory_that_was_turned_into_a_link(self, world: World, tmp_path: Path) -> None:
        make(tmp_path / "outside", {"a": "a", "b": "b"})
        (world.root / "kept.d").rename(world.root / "moved.d")
        (world.root / "kept.d").symlink_to(tmp_path / "outside")
        result = world.apply().write()
        assert isinstance(result, Moved)
        assert told(tmp_path / "outside") == {"a": ("a", 0o644), "b": ("b", 0o644)}


class TestTemporaryFiles:
    def test_they_may_be_lost_in_a_crash(self, world: World) -> None:
        with pytest.raises(CrashError):
            world.apply(crash_on("testing")).write()
        for path in world.root.rglob(".ha-*"):
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
        world.recover()
        assert told(world.root) == world.old

    def test_they_may_be_damaged_in_a_crash(self, world: World) -> None:
        with pytest.raises(CrashError):
            world.apply(crash_on("testing")).write()
        for path in world.root.rglob(".ha-*"):
            if path.is_file() and not path.is_symlink():
                path.write_bytes(bytes(3))
        world.recover()
        assert told(world.root) == world.old

    def test_those_of_an_earlier_life_are_in_nobodys_way(self, world: World) -> None:
        with pytest.raises(CrashError):
            world.apply(crash_on("applying")).write()
        forget(world.directory)
        all_the_way(world.apply())
        assert told(world.root) == world.new


class TestUnsynced:
    def test_a_directory_with_other_files_stays(self, world: World) -> None:
        make(world.root, {"gone.d/.swp.swp": "editor"})
        result = world.apply().write()
        assert isinstance(result, Applied)
        assert result.kept == (f"{world.root}/gone.d",)
        assert (world.root / "gone.d/.swp.swp").read_text() == "editor"

    def test_a_directory_with_other_files_gives_no_way(self, world: World) -> None:
        make(world.root, {"dir-to-file/.swp.swp": "editor"})
        before = told(world.root)
        with pytest.raises(
            SidecarError, match=r"a directory gives way to a file, but \.swp\.swp in"
        ):
            world.apply().write()
        assert told(world.root) == before


class TestTrouble:
    def test_a_damaged_object_changes_nothing(self, world: World) -> None:
        digest = world.wanted[f"{world.root}/new"].digest
        (world.directory / "objects" / digest).write_text("nul")
        with pytest.raises(SidecarError, match="its content is damaged"):
            world.apply().write()
        assert told(world.root) == world.old
        assert not world.objects.has(digest)

    def test_a_missing_object_changes_nothing(self, world: World) -> None:
        (world.directory / "objects" / world.wanted[f"{world.root}/new"].digest).unlink()
        with pytest.raises(SidecarError, match="it is not in the history"):
            world.apply().write()
        assert told(world.root) == world.old

    def test_a_volume_that_is_not_mounted_is_not_taken_for_deleted_files(
        self, world: World
    ) -> None:
        with pytest.raises(CrashError):
            world.apply(crash_at(40)).write()
        world.root.rename(world.directory / "unmounted")
        with pytest.raises(SidecarError, match="cannot put back"):
            world.recover()
        (world.directory / "unmounted").rename(world.root)
        world.recover()
        assert told(world.root) == world.old

    def test_an_apply_never_starts_on_top_of_another(self, world: World) -> None:
        with pytest.raises(CrashError):
            world.apply(crash_at(40)).write()
        with pytest.raises(SidecarError, match="an earlier one has not ended"):
            world.apply().write()
        world.recover()
        assert told(world.root) == world.old

    def test_a_damaged_journal_is_set_aside(self, world: World) -> None:
        (world.directory / "journal").write_bytes(bytes(100))
        with pytest.raises(SidecarError, match="cannot read the journal"):
            world.recover()
        assert world.recover() is None

    @pytest.mark.parametrize("path", ["/etc/passwd", "{root}/link/x", "{root}/../x"])
    def test_a_tree_that_leads_out_is_refused(self, world: World, path: str) -> None:
        entry = world.wanted[f"{world.root}/new"]
        world.wanted = {**world.wanted, path.format(root=world.root): entry}
        with pytest.raises(ValueError, match="does not lie in a directory"):
            world.apply()


def test_only_what_differs_is_touched(tmp_path: Path) -> None:
    world = World(tmp_path, {"a": "1", "b": "2"}, {"a": "1", "b": "3"})
    before = (world.root / "a").stat()
    all_the_way(world.apply())
    assert (world.root / "a").stat() == before


def test_a_mode_changes_in_place_and_setgid_stays(tmp_path: Path) -> None:
    world = World(tmp_path, {"d": None, "f": "1"}, {"d": None, "f": ("1", 0o600)})
    (world.root / "d").chmod(0o2700)
    world.current = look(world.root)
    inode = (world.root / "f").stat().st_ino
    all_the_way(world.apply())
    assert stat.S_IMODE((world.root / "d").stat().st_mode) == 0o2755
    assert (world.root / "f").stat().st_ino == inode


names = st.sampled_from(["a", "b", "a/a", "a/b", "a/a/a", "b/a"])
whats = st.sampled_from(["one", "two", ("one", 0o600), "-> a", None])


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    spec: dict[str, str | tuple[str, int] | None] = {}
    for name in sorted(draw(st.sets(names))):
        parents = [str(parent) for parent in Path(name).parents if str(parent) != "."]
        if all(spec.get(parent) is None for parent in parents):
            spec[name] = draw(whats)
    return spec


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(specs(), specs(), st.integers(0, 40), st.booleans())
def test_any_tree_becomes_any_other_or_stays(
    tmp_path: Path, old: Spec, new: Spec, number: int, native: bool
) -> None:
    world = World(one_more(tmp_path), old, new)
    world.renamer = Renamer(native=native)
    try:
        all_the_way(world.apply(crash_at(number)))
    except CrashError:
        recovery = world.recover()
        done = recovery is None or recovery.done
        assert told(world.root) == (world.new if done else world.old)
    else:
        assert told(world.root) == world.new
