import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.host.rename import Place, Renamer, repair


@pytest.fixture(params=[True, False], ids=["native", "by-hand"])
def renamer(request: pytest.FixtureRequest) -> Renamer:
    return Renamer(native=request.param)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def temporary(directory: int) -> Place:
    return directory, ".ha-1"


@pytest.fixture
def place(directory: int) -> Place:
    return directory, "name\nü"


def test_two_names_change_places(
    renamer: Renamer, temporary: Place, place: Place, tmp_path: Path
) -> None:
    (tmp_path / temporary[1]).mkdir()
    (tmp_path / place[1]).write_text("file")
    renamer.exchange(temporary, place)
    assert (tmp_path / place[1]).is_dir()
    assert (tmp_path / temporary[1]).read_text() == "file"
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_is_replaced(
    renamer: Renamer, temporary: Place, place: Place, tmp_path: Path
) -> None:
    (tmp_path / temporary[1]).write_text("new")
    (tmp_path / place[1]).symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        renamer.move(temporary, place)
    assert (tmp_path / place[1]).is_symlink()
    (tmp_path / place[1]).unlink()
    renamer.move(temporary, place)
    assert (tmp_path / place[1]).read_text() == "new"


def test_what_is_not_there_cannot_be_renamed(
    renamer: Renamer, temporary: Place, place: Place
) -> None:
    with pytest.raises(FileNotFoundError):
        renamer.move(temporary, place)
    with pytest.raises(FileNotFoundError):
        renamer.exchange(temporary, place)


def test_an_interrupted_exchange_is_taken_back_or_finished(
    temporary: Place, place: Place, tmp_path: Path
) -> None:
    between = tmp_path / f"{temporary[1]}~"
    repair(temporary, place)
    between.write_text("old")
    (tmp_path / temporary[1]).write_text("new")
    repair(temporary, place)
    assert (tmp_path / place[1]).read_text() == "old"
    (tmp_path / place[1]).rename(between)
    (tmp_path / temporary[1]).rename(tmp_path / place[1])
    repair(temporary, place)
    assert (tmp_path / temporary[1]).read_text() == "old"
    assert (tmp_path / place[1]).read_text() == "new"
