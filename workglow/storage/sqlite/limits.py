"""Limiters, in the tables `limiter` and `limiter_slot`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from workglow.errors import UnknownLimiterError
from workglow.storage.limits import LimiterRecord, SlotRecord, Wait
from workglow.storage.sqlite.gates import SLOT, Gates, QueueGate
from workglow.storage.sqlite.quiet import Quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw

    from workglow.file import File
    from workglow.storage.limits import RulesLoader
    from workglow.storage.sqlite.admission import Admission

    Execute = Callable[..., Any]

__all__ = ["SqliteLimits"]

_RECORD = """
SELECT limiter.id, limiter.name, limiter.scope, queue.name, rules,
       (SELECT count(*) FROM limiter_slot WHERE limiter_id = limiter.id), hold_until, hold_reason, strikes
  FROM limiter LEFT JOIN queue ON queue.id = queue_id
"""
_RELEASE = "DELETE FROM limiter_slot WHERE job_id = 0 AND number = ? AND limiter_id = ? AND session_id = ?"


class SqliteLimits:
    """The limiters of one file; `rules` makes rules of what a row holds of them."""

    def __init__(self, file: File, rules: RulesLoader) -> None:
        self._file = file
        self.gates = Gates(file, rules)
        self._admissions = self.gates.admissions
        self._numbers = itertools.count(1)
        self._closed: set[int] = set()
        self._execute: Execute | None = None
        self._quiet = Quiet(file.db.data_version)
        # What the last start went through, and how many admissions were loaded by then.
        self._last: tuple[Sequence[int], QueueGate, int] | None = None

    # ------------------------------------------------------------------ making limiters

    def open(self, name: str, scope: str, rules: str | None = None, *, keep: bool = False) -> int | None:
        found = self._file.look_up(
            "SELECT id, rules FROM limiter WHERE name = ? AND scope = ? AND queue_id IS NULL", (name, scope)
        )
        if found is not None and (keep or rules in (None, found[1])):
            return found[0]
        if rules is None:
            return None
        with self._file.transaction() as db:
            known = db.execute(
                "SELECT id FROM limiter WHERE name = ? AND scope = ? AND queue_id IS NULL", (name, scope)
            ).get
            if known is None:
                known = self.gates.make(db, name, scope, None, rules)
            elif not keep:
                self._change(db.execute, known, rules)
        self._file.notify()
        return known

    @staticmethod
    def _change(execute: Execute, limiter_id: int, rules: str) -> None:
        """Give a limiter other rules; what a rule of the same kind at the same place remembers stays."""
        before, text = execute("SELECT rules, state FROM limiter WHERE id = ?", (limiter_id,)).fetchall()[0]
        if before == rules:
            return
        old, states = msgspec.json.decode(before), msgspec.json.decode(text)
        kept: list[object] = [
            states[place] if place < len(states) and old[place]["kind"] == rule["kind"] else {}
            for place, rule in enumerate(msgspec.json.decode(rules))
        ]
        state = msgspec.json.encode(kept).decode()
        execute("UPDATE limiter SET rules = ?, state = ? WHERE id = ?", (rules, state, limiter_id))

    def limit_queue(self, queue_id: int, rules: str, shared: Sequence[int]) -> None:
        with self._file.transaction() as db:
            own = db.execute("SELECT id FROM limiter WHERE queue_id = ?", (queue_id,)).get
            wanted = list(shared)
            if own is not None:
                self._change(db.execute, own, rules)
            if rules != "[]":
                wanted.insert(0, own or self.gates.make_own(db, queue_id, rules))
            text = msgspec.json.encode(wanted).decode() if wanted else None
            db.execute("UPDATE queue SET limiters = ?1 WHERE id = ?2 AND limiters IS NOT ?1", (text, queue_id))
        self._file.notify()

    # ------------------------------------------------------------------ without a queue

    def take(self, limiter_ids: Sequence[int], cost: int = 1) -> Sequence[SlotRecord] | Wait:
        wait = self._still_closed(limiter_ids, cost)
        if wait is not None:
            return wait
        with self._file.transaction() as db:
            execute = self._execute = self._execute or db.cursor().execute
            last = self._last
            quiet = self._quiet.begin()
            if quiet and last is not None and last[0] == limiter_ids and last[2] == self._admissions.loads:
                gate = last[1]
                for admission in gate.admissions:
                    self._admissions.go_on(admission)
            else:
                gate = self._gate(execute, limiter_ids)
            blocked = gate.blocked(cost)
            if blocked is not None and blocked[1] is None and self.gates.release_dead(db):
                gate = self._gate(execute, limiter_ids)
                blocked = gate.blocked(cost)
            if blocked is not None:
                self._closed.add(blocked[0].id)
                wait = self._admissions.wait(blocked[0], cost)
                assert wait is not None
                return wait
            slots = [self._start(execute, admission, gate.session_id, cost) for admission in gate.admissions]
            self.gates.close(execute, gate)
        self._quiet.committed()
        self._last = (limiter_ids, gate, self._admissions.loads)
        return slots

    def _still_closed(self, limiter_ids: Sequence[int], cost: int) -> Wait | None:
        """Look at those that were closed when they were last asked: looking costs less than a transaction."""
        for limiter_id in limiter_ids:
            if limiter_id in self._closed:
                wait = self._admissions.wait(self._admissions.look(self._file.read, limiter_id), cost)
                if wait is not None and wait.until is not None:
                    return wait
                self._closed.discard(limiter_id)
        return None

    def _gate(self, execute: Execute, limiter_ids: Sequence[int]) -> QueueGate:
        admissions = [self._admissions.load(execute, limiter_id) for limiter_id in limiter_ids]
        return QueueGate(admissions, self.gates.session_id())

    def _start(self, execute: Execute, admission: Admission, session_id: int, cost: int) -> SlotRecord:
        self._admissions.take(admission, cost)
        slot = SlotRecord(admission.id, session_id, next(self._numbers), admission.now, cost, admission.holds)
        if slot.holds:
            execute(SLOT, (0, slot.number, slot.limiter_id, session_id, slot.taken_at, cost))
        self.gates.note_strikes(admission)
        return slot

    def release(self, slots: Sequence[SlotRecord], cost: int | None = None, *, succeeded: bool = False) -> None:
        struck = [slot.limiter_id for slot in slots if succeeded and slot.limiter_id in self.gates.struck]
        if not struck and not any(slot.holds for slot in slots):
            return
        with self._file.transaction() as db:
            for slot in slots:
                if slot.holds:
                    db.execute(_RELEASE, (slot.number, slot.limiter_id, slot.session_id))
                    if db.changes():
                        self.gates.settle_cost(db.execute, slot.limiter_id, slot.taken_at, slot.cost, cost)
            for limiter_id in struck:
                self.gates.forgive(db.execute, limiter_id, self._admissions.clock.now())
        self._file.notify()

    # ------------------------------------------------------------------ holds

    def hold(self, limiter_id: int, seconds: float | None, reason: str, started_at: int | None = None) -> int:
        with self._file.transaction() as db:
            until = self.gates.strike(db.execute, limiter_id, seconds, reason, started_at)
        self._file.notify()
        return until

    def hold_queue(self, queue_id: int, seconds: float, reason: str) -> int:
        with self._file.transaction() as db:
            until = self.gates.strike_queue(db, queue_id, seconds, reason, None)
        self._file.notify()
        return until

    def clear(self, limiter_id: int) -> None:
        with self._file.transaction() as db:
            self._clear(db.execute, limiter_id)
        self._file.notify()

    def clear_queue(self, queue_id: int) -> None:
        with self._file.transaction() as db:
            for limiter_id in self._ids(db.execute, queue_id):
                self._clear(db.execute, limiter_id)
        self._file.notify()

    @staticmethod
    def _clear(execute: Execute, limiter_id: int) -> None:
        execute(
            "UPDATE limiter SET state = '[]', hold_until = NULL, hold_reason = NULL, strikes = 0, struck_at = NULL "
            "WHERE id = ?",
            (limiter_id,),
        )
        execute("DELETE FROM limiter_slot WHERE limiter_id = ?", (limiter_id,))

    # ------------------------------------------------------------------ looking

    @staticmethod
    def _ids(execute: Execute, queue_id: int) -> list[int]:
        text = execute("SELECT limiters FROM queue WHERE id = ?", (queue_id,)).get
        return [] if text is None else msgspec.json.decode(text)

    def look(self, limiter_id: int, cost: int = 1) -> Wait | None:
        admission = self._admissions.look(self._file.read, limiter_id)
        wait = self._admissions.wait(admission, cost)
        if wait is None or wait.until is not None:
            return wait
        for session_id in self.gates.dead_holders(self._file.reader):  # whoever asks for their slots gets them
            query = "SELECT count(*) FROM limiter_slot WHERE limiter_id = ? AND session_id = ?"
            admission.held -= self._file.read(query, (limiter_id, session_id))[0][0]
        return self._admissions.wait(admission, cost)

    def look_at_queue(self, queue_id: int, cost: int = 1) -> Wait | None:
        waits = [self.look(limiter_id, cost) for limiter_id in self._ids(self._file.reader.execute, queue_id)]
        found = [wait for wait in waits if wait is not None]
        return max(found, key=lambda wait: -1 if wait.until is None else wait.until, default=None)

    def get(self, limiter_id: int) -> LimiterRecord:
        found = self._records(" WHERE limiter.id = ?", (limiter_id,))
        if not found:
            raise UnknownLimiterError(f"The file has no limiter {limiter_id} any more; open it again by its name.")
        return found[0]

    def all(self) -> list[LimiterRecord]:
        return self._records(" ORDER BY limiter.name, limiter.scope, limiter.id")

    def of_queue(self, queue_id: int) -> list[LimiterRecord]:
        return [self.get(limiter_id) for limiter_id in self._ids(self._file.reader.execute, queue_id)]

    def _records(self, where: str, values: tuple[apsw.SQLiteValue, ...] = ()) -> list[LimiterRecord]:
        reader = self._file.reader
        found: list[LimiterRecord] = []
        for row in reader.execute(_RECORD + where, values).fetchall():
            limiter_id, name, scope, queue, rules, held, hold_until, reason, strikes = row
            if hold_until is not None:
                admission = self._admissions.look(self._file.read, limiter_id)  # pyright: ignore[reportArgumentType]
                left: int = hold_until - admission.now  # pyright: ignore
                hold_until = self._admissions.wall(admission, hold_until) if left > 0 else None  # pyright: ignore
                reason = reason if left > 0 else None
            found.append(LimiterRecord(limiter_id, name, scope, queue, rules, held, hold_until, reason, strikes))  # pyright: ignore
        return found
