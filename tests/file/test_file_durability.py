"""What survives a power cut, and what the background thread does for it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from background import upkeep_of
from older_files import go_back

from workglow.errors import FileError
from workglow.file import Durability, File, doctor
from workglow.file.presence import _move_log
from workglow.file.upkeep import Upkeep
from workglow.testing import FakeClock

Add = Callable[..., None]
Count = Callable[[File], int]


def log_syncs(disk: Any, work: Callable[[], None]) -> int:
    before = disk.syncs("-wal")
    work()
    return disk.syncs("-wal") - before


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(("durability", "plain", "synced"), [("auto", 0, 1), ("power", 1, 1), ("process", 0, 0)])
def test_a_commit_waits_for_the_disk_exactly_when_promised(
    path: Path, disk: Any, add: Add, durability: Durability, plain: int, synced: int
) -> None:
    with File.open(path, durability=durability, vfs=disk.name) as file:
        add(file)
        for _ in range(3):
            assert log_syncs(disk, lambda: add(file)) == plain
            assert log_syncs(disk, lambda: add(file, sync=True)) == synced
            assert log_syncs(disk, lambda: file.submit(lambda db: None, sync=False).result(30)) == 0
        assert log_syncs(disk, lambda: add(file)) == plain


@pytest.mark.usefixtures("still")
def test_submitted_work_shares_one_sync(path: Path, disk: Any, count: Count) -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold(db: apsw.Connection) -> None:
        inside.set()
        assert leave.wait(30)

    with File.open(path, durability="power", vfs=disk.name) as file:
        first = file.submit(hold)
        assert inside.wait(30)
        insert = "INSERT INTO event (at, kind) VALUES (0, 'x')"
        futures = [file.submit(lambda db: db.execute(insert).get, sync=True) for _ in range(30)]

        def finish() -> None:
            leave.set()
            first.result(30)
            for future in futures:
                future.result(30)

        assert log_syncs(disk, finish) == 1
        assert count(file) == 30


@pytest.mark.usefixtures("still")
def test_a_synced_transaction_that_fails_does_not_make_the_next_ones_slow(path: Path, disk: Any, add: Add) -> None:
    with File.open(path, vfs=disk.name) as file:
        with pytest.raises(ValueError, match="x"), file.transaction(sync=True):
            raise ValueError("x")
        assert log_syncs(disk, lambda: add(file)) == 0


def cuts(folder: Path, disk: Any, durability: Durability, add: Add, count: Count, number: int) -> tuple[int, int]:
    """Write while the power is cut at random moments; returns the images made and the acknowledged commits lost."""
    chance = random.Random(f"{durability} {number}")
    source = folder / "source.wg"
    images: list[tuple[Path, int]] = []
    acknowledged = 0

    def step(operation: str, path: str) -> None:
        if chance.random() < 0.04 and len(images) < number:
            target = folder / f"cut{len(images)}"
            disk.cut_power(target, chance)
            images.append((target / "source.wg", acknowledged))

    disk.fail = step
    while len(images) < number:
        with File.open(source, durability=durability, vfs=disk.name) as file:
            for _ in range(chance.randrange(5, 40)):
                add(file, "x" * chance.choice([10, 5000]))
                acknowledged += 1
                if chance.random() < 0.1:
                    upkeep_of(file).checkpoint(at_least=1)
    disk.fail = lambda operation, path: None
    lost = 0
    for image, before in images:
        with File.open(image) as file:
            lost += max(0, before - count(file))
        report = doctor(image)
        assert report.ok, (image, report.failures)
    return len(images), lost


@pytest.mark.usefixtures("still")
def test_power_loss_loses_no_acknowledged_commit_with_durability_power(
    tmp_path: Path, disk: Any, add: Add, count: Count
) -> None:
    assert cuts(tmp_path, disk, "power", add, count, 100) == (100, 0)


@pytest.mark.usefixtures("still")
def test_power_loss_is_noticed_by_this_test_with_durability_process(
    tmp_path: Path, disk: Any, add: Add, count: Count
) -> None:
    """The control: a simulation that could not lose anything would prove nothing."""
    made, lost = cuts(tmp_path, disk, "process", add, count, 100)
    assert made == 100
    assert lost > 10


@pytest.mark.usefixtures("still")
def test_power_loss_after_a_barrier_loses_nothing_before_it(tmp_path: Path, disk: Any, add: Add, count: Count) -> None:
    with File.open(tmp_path / "source.wg", vfs=disk.name) as file:
        for number in range(20):
            for _ in range(number % 4):
                add(file)
            add(file, sync=True)
            before = count(file)
            disk.cut_power(tmp_path / str(number), random.Random(number))
            with File.open(tmp_path / str(number) / "source.wg") as image:
                assert count(image) == before


def every_cut(folder: Path, disk: Any, work: Callable[[], None]) -> list[Path]:
    """Cut the power before each operation of `work`; returns the folders of what is left."""
    images: list[Path] = []

    def step(operation: str, path: str) -> None:
        folder.mkdir(exist_ok=True)
        images.append(folder / f"cut{len(images)}")
        disk.cut_power(images[-1], random.Random(len(images)))

    disk.fail = step
    work()
    disk.fail = lambda operation, path: None
    return images


@pytest.mark.usefixtures("still")
def test_power_loss_while_a_file_is_made_leaves_a_new_file_or_none(tmp_path: Path, disk: Any, add: Add) -> None:
    images = every_cut(tmp_path, disk, lambda: File.open(tmp_path / "new.wg", vfs=disk.name).close())
    assert len(images) > 50
    for number, image in enumerate(images):
        with File.open(image / "new.wg") as file:
            add(file)
        assert number % 4 or doctor(image / "new.wg").ok


@pytest.mark.usefixtures("still")
def test_power_loss_during_a_migration_leaves_the_old_or_the_new_file(
    tmp_path: Path, disk: Any, count: Count, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source.wg"
    with monkeypatch.context() as patch:
        go_back(patch, 1)
        with File.open(source) as file:
            add(file)
    images = every_cut(tmp_path, disk, lambda: File.open(source, vfs=disk.name).close())
    for number, image in enumerate(images):
        with File.open(image / "source.wg") as file:
            assert count(file) == 1
        assert number % 4 or doctor(image / "source.wg").ok


def make_upkeep(file: File, clock: FakeClock, **options: Any) -> Upkeep:
    assert file.session is not None
    return Upkeep(file._gate, file._plain, clock, file.session, sync=True, **options)  # type: ignore[arg-type]


def test_what_was_committed_is_synced_in_the_background_within_200_ms(path: Path, clock: FakeClock, add: Add) -> None:
    synced = threading.Event()
    with File.open(path, clock=clock) as file:
        assert upkeep_of(file).interval == 0.2
        upkeep = make_upkeep(file, clock, interval=0.001, fdatasync=lambda descriptor: synced.set())
        file._gate.upkeep = upkeep
        try:
            for _ in range(100):
                synced.clear()
                add(file)
                assert synced.wait(5)
        finally:
            upkeep.stop()


def test_closing_while_the_background_works_does_not_wait_for_its_next_turn(
    path: Path, clock: FakeClock, add: Add
) -> None:
    """What it is woken for at its end comes before it begins to sleep: it must not sleep over it."""
    at_it = threading.Event()
    with File.open(path, clock=clock) as file:

        def sync(descriptor: int) -> None:
            at_it.set()
            assert upkeep.stopped.wait(30)
            assert upkeep.woken.wait(30)

        upkeep = make_upkeep(file, clock, interval=0.001, fdatasync=sync)
        upkeep.beat_every = 1000.0
        file._gate.upkeep = upkeep
        add(file)
        assert at_it.wait(30)
        closing = threading.Thread(target=upkeep.stop, daemon=True)
        closing.start()
        closing.join(30)
        assert not closing.is_alive()


@pytest.mark.usefixtures("still")
def test_the_background_syncs_once_for_many_commits_and_not_without_one(path: Path, clock: FakeClock, add: Add) -> None:
    synced: list[int] = []
    with File.open(path, clock=clock) as file:
        upkeep = make_upkeep(file, clock, fdatasync=synced.append)
        file._gate.upkeep = upkeep
        upkeep.tick()
        assert synced == []
        for _ in range(5):
            add(file)
        upkeep.tick()
        upkeep.tick()
        assert len(synced) == 1
        upkeep.stop()


@pytest.mark.usefixtures("still")
def test_a_commit_while_the_thread_looks_is_not_forgotten(path: Path, clock: FakeClock) -> None:
    class Late(Upkeep):
        """Somebody commits just after the thread has looked whether anybody did."""

        committed = False

        @property
        def active(self) -> bool:
            seen, self.committed = self.committed, True
            return seen

        @active.setter
        def active(self, value: bool) -> None:
            self.committed = value

    with File.open(path, clock=clock) as file:
        assert file.session is not None
        upkeep = Late(file._gate, file._plain, clock, file.session, sync=True)  # type: ignore[arg-type]
        upkeep.tick()
        assert upkeep.committed
        upkeep.stop()


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(("commits", "is_idle"), [([0, 0, 0], True), ([0, 1], False), ([0, 0, 1], False)])
def test_it_sleeps_until_the_next_beat_only_when_nobody_has_committed(
    path: Path, clock: FakeClock, commits: list[int], is_idle: bool
) -> None:
    class Watched(Upkeep):
        """Somebody commits at the second or third time that the thread looks whether anybody has."""

        active = property(lambda self: bool(looks.pop(0)), lambda self, value: None)

    looks = [*commits]
    with File.open(path, clock=clock) as file:
        assert file.session is not None
        upkeep = Watched(file._gate, file._plain, clock, file.session, sync=True)  # type: ignore[arg-type]
        upkeep.idle = False
        pauses = [upkeep.work() for _ in range(4)]
        assert pauses == [0.05, 0.05, 0.05, upkeep.beat_every if is_idle else 0.05]
        assert upkeep.idle is is_idle
        assert looks == []
        upkeep.stop()


@pytest.mark.usefixtures("still")
def test_a_disk_that_cannot_sync_is_told_at_the_next_barrier(path: Path, clock: FakeClock, add: Add) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with File.open(path, clock=clock) as file:
        upkeep = make_upkeep(file, clock, fdatasync=broken)
        file._gate.upkeep = upkeep
        add(file)
        upkeep.tick()
        add(file)
        with pytest.raises(FileError, match=r"may not survive a power cut.*check the disk"):
            add(file, sync=True)
        add(file)
        upkeep.stop()


def test_the_thread_starts_with_the_first_commit_and_ends_with_the_file(path: Path, add: Add) -> None:
    def running() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("workglow")]

    before = len(running())
    file = File.open(path)
    assert len(running()) == before
    add(file)
    assert len(running()) == before + 1
    file.close()
    assert len(running()) == before


def test_a_file_nobody_closed_can_be_collected(path: Path, add: Add) -> None:
    import gc
    import weakref

    file = File.open(path)
    add(file)
    upkeep = weakref.ref(upkeep_of(file))
    thread = upkeep_of(file)._thread
    upkeep_of(file).woken.set()
    del file
    for _ in range(100):
        gc.collect()
        if upkeep() is None:
            break
        assert thread is not None
        thread.join(0.1)
    assert upkeep() is None


def test_opening_waits_for_the_checkpoint_of_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[object] = [apsw.BusyError("injected"), apsw.BusyError("injected"), (7, 7), (7, 7)]
    pauses: list[float] = []

    class Shared:
        def wal_checkpoint(self, *, mode: int) -> object:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    monkeypatch.setattr("workglow.file.presence.time.sleep", pauses.append)
    assert _move_log(Shared())  # type: ignore[arg-type]
    assert len(pauses) == 2
