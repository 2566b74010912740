"""The part that limiters have in a worker's transaction: which jobs may start, what is given back, who is held up.

Policy.  A job starts when every limiter of its queue allows it; then all of them remember it, otherwise none does.  The
first job in the queue's order that may not start ends the claim: nothing overtakes it.  Slots are rows that name the
claim and the session, and are given back in the transaction that ends the claim, whoever ends it; so there is no
counter that a killed process could leave wrong.

"Too many requests" holds up all limiters of the queue, in the transaction that makes the job pending again.  Nothing
but time or `clear` ends a hold.  Without a time it is longer with each strike in a row; a strike is one only when the
job was claimed after the last strike, for jobs that ran side by side are refused side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from workglow.storage.sqlite.admission import Admission, Admissions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import apsw

    from workglow.file import File
    from workglow.storage.jobs import Settlement
    from workglow.storage.limits import RulesLoader

    Execute = Callable[..., Any]

__all__ = ["SLOT", "Gates", "QueueGate"]

_LOOK_FOR_DEAD: Final = 0.5  # seconds
_MAKE = """
INSERT INTO limiter (name, scope, queue_id, rules, boot, shift, seen, seen_at, created_at)
VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?)
"""
SLOT: Final = (
    "INSERT INTO limiter_slot (job_id, number, limiter_id, session_id, taken_at, cost) VALUES (?, ?, ?, ?, ?, ?)"
)
_RELEASE_JOB = "DELETE FROM limiter_slot WHERE job_id = ? AND number = ? RETURNING limiter_id, taken_at, cost"


class QueueGate(NamedTuple):
    """The limiters of one queue inside one transaction: a job starts when all of them allow it."""

    admissions: Sequence[Admission]
    session_id: int

    def blocked(self, cost: int) -> tuple[Admission, float | None] | None:
        """None when a job of this cost may start now; else who keeps it waiting longest, and until when."""
        worst: tuple[Admission, float | None] | None = None
        longest = -1.0
        for admission in self.admissions:
            found = admission.blocks(cost)
            if found is not None:
                left = -0.5 if found[0] is None else found[0] - admission.now
                if left > longest:
                    longest, worst = left, (admission, found[0])
        return worst


class Gates:
    """The gates of one file's queues; `rules` makes rules of what a row holds of them."""

    def __init__(self, file: File, rules: RulesLoader) -> None:
        session = file.session
        self._file = file
        self.admissions = Admissions(file.clock, "" if session is None else session.process.boot, rules)
        self._looked_at = -1.0
        self.struck: set[int] = set()
        """Limiters that had strikes when they were last looked at."""
        self.limited: dict[int, tuple[int, ...]] = {}
        """Queues that had limiters when they were last looked at, and which: only a hint, for others may change it."""
        self.holding: set[tuple[int, int]] = set()
        """Job and claim of those that this process has started and that have slots."""

    def session_id(self) -> int:
        session = self._file.session
        assert session is not None, "a file that is open for writing has a session"
        return session.id

    def make(self, db: apsw.Connection, name: str, scope: str, queue_id: int | None, rules: str) -> int:
        wall = self._file.clock.now()
        seen = round(self._file.clock.monotonic() * 1000)
        db.execute(_MAKE, (name, scope, queue_id, rules, self.admissions.boot, seen, wall, wall))
        return db.last_insert_rowid()

    def make_own(self, db: apsw.Connection, queue_id: int, rules: str) -> int:
        name, scope = db.execute("SELECT name, scope FROM queue WHERE id = ?", (queue_id,)).fetchall()[0]
        return self.make(db, str(name), str(scope), queue_id, rules)

    # ------------------------------------------------------------------ claims

    def gate(self, execute: Execute, queue_id: int) -> QueueGate | None:
        """The limiters of a queue; None when it has none."""
        text = execute("SELECT limiters FROM queue WHERE id = ?", (queue_id,)).get
        if text is None:
            self.limited.pop(queue_id, None)
            return None
        ids = self.limited[queue_id] = tuple(msgspec.json.decode(text))
        admissions = [self.admissions.load(execute, limiter_id) for limiter_id in ids]
        for admission in admissions:
            self.note_strikes(admission)
        return QueueGate(admissions, self.session_id())

    def start(self, execute: Execute, gate: QueueGate, job_id: int, claim: int, cost: int) -> None:
        """Take the slots of a job that the gate lets through; `close` has to follow."""
        for admission in gate.admissions:
            self.admissions.take(admission, cost)
            if admission.holds:
                execute(SLOT, (job_id, claim, admission.id, gate.session_id, admission.now, cost))
                self.holding.add((job_id, claim))

    def close(self, execute: Execute, gate: QueueGate) -> None:
        """Write what the limiters of a queue have to remember."""
        for admission in gate.admissions:
            self.admissions.store(execute, admission)

    def release_job(self, execute: Execute, job_id: int, claim: int, cost: int | None = None) -> None:
        """Give back what a claim of a job has taken; `cost` is what it really cost, when that is known."""
        for limiter_id, taken_at, reserved in execute(_RELEASE_JOB, (job_id, claim)).fetchall():
            self.settle_cost(execute, limiter_id, taken_at, reserved, cost)

    def settle_cost(self, execute: Execute, limiter_id: int, taken_at: int, reserved: int, cost: int | None) -> None:
        if cost is not None and cost != reserved:
            admission = self.admissions.load(execute, limiter_id)
            self.admissions.settle(admission, taken_at, reserved, cost)
            self.admissions.store(execute, admission)

    def settled(self, execute: Execute, done: Iterable[Settlement]) -> None:
        """Forget the strikes of limiters through which a job has come that was claimed after the last of them."""
        if not self.struck:
            return
        for one in done:
            struck = self.struck.intersection(self.limited.get(one.job.queue_id, ()))
            if struck and one.outcome == "completed":
                started_at = execute("SELECT started_at FROM job WHERE id = ?", (one.job.id,)).get
                for limiter_id in struck:
                    self.forgive(execute, limiter_id, self._file.clock.now() if started_at is None else started_at)

    @staticmethod
    def forgive(execute: Execute, limiter_id: int, started_at: int) -> None:
        execute(
            "UPDATE limiter SET strikes = 0, struck_at = NULL WHERE id = ? AND strikes > 0 AND struck_at < ?",
            (limiter_id, started_at),
        )

    def note_strikes(self, admission: Admission) -> None:
        if admission.strikes:
            self.struck.add(admission.id)
        elif self.struck:
            self.struck.discard(admission.id)

    def release_dead(self, db: apsw.Connection) -> bool:
        """Give back the slots of processes that are gone; True when there were any."""
        monotonic = self._file.clock.monotonic()
        if 0 <= monotonic - self._looked_at < _LOOK_FOR_DEAD:
            return False
        self._looked_at = monotonic
        gone = self.dead_holders(db)
        for session_id in gone:
            self._file.end_dead_session(db, session_id)
            db.execute("DELETE FROM limiter_slot WHERE session_id = ?", (session_id,))
        return bool(gone)

    def dead_holders(self, db: apsw.Connection) -> list[int]:
        """Sessions that have slots although they are over, or their processes gone."""
        session = self._file.session
        rows = db.execute(
            """
            SELECT DISTINCT session_id, ended_at FROM limiter_slot JOIN session ON session.id = session_id
             WHERE session_id <> ?
            """,
            (0 if session is None else session.id,),
        ).fetchall()
        dead = set(self._file.dead_sessions(db)) if rows else set[int]()
        return [int(session_id) for session_id, ended_at in rows if ended_at is not None or session_id in dead]  # pyright: ignore

    # ------------------------------------------------------------------ holds

    def strike_queue(
        self, db: apsw.Connection, queue_id: int, seconds: float | None, reason: str, started_at: int | None
    ) -> int:
        """Hold the limiters of a queue up, in a transaction; until when, in milliseconds.

        A queue without a limiter gets one, without a rule, to carry the hold.
        """
        text = db.execute("SELECT limiters FROM queue WHERE id = ?", (queue_id,)).get
        ids = () if text is None else msgspec.json.decode(text)
        if not ids:
            own = db.execute("SELECT id FROM limiter WHERE queue_id = ?", (queue_id,)).get
            ids = (own or self.make_own(db, queue_id, "[]"),)
            db.execute("UPDATE queue SET limiters = ? WHERE id = ?", (msgspec.json.encode(ids).decode(), queue_id))
        self.limited[queue_id] = tuple(ids)
        return max(self.strike(db.execute, limiter_id, seconds, reason, started_at) for limiter_id in ids)

    def strike(
        self, execute: Execute, limiter_id: int, seconds: float | None, reason: str, started_at: int | None
    ) -> int:
        """Hold one limiter up.

        What was begun before the last strike was refused by the same state of affairs: it counts no further one.
        """
        admission = self.admissions.load(execute, limiter_id)
        wall = self._file.clock.now()
        struck_at = execute("SELECT struck_at FROM limiter WHERE id = ?", (limiter_id,)).get
        news = started_at is not None and (struck_at is None or started_at > struck_at)
        strikes = admission.strikes + news
        if seconds is None:
            seconds = admission.backoff.wait(max(1, strikes))
        until = max(admission.hold_until or 0, admission.now + round(seconds * 1000))
        execute(
            """
            UPDATE limiter SET hold_until = ?, hold_reason = ?, strikes = ?, struck_at = ?, seen = ?, seen_at = ?
             WHERE id = ?
            """,
            (until, reason, strikes, wall if news else struck_at, admission.now, wall, limiter_id),
        )
        if strikes:
            self.struck.add(limiter_id)
        return wall + until - admission.now
