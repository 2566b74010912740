"""What is asked in a project's runs, and bringing what they wait for: answers and events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors import RunStateError, TaskConfigurationError, UnknownTaskError
from workglow.graph.waiting.wait import AnsweredQuestion, as_answer, describe_wait, read_question
from workglow.storage.records import FINAL_RUN_STATUSES
from workglow.values import decode, encode
from workglow.values.refusal import is_text

if TYPE_CHECKING:
    from workglow.graph.waiting.wait import Action, Question
    from workglow.storage.records import RunRecord, WaitingRow
    from workglow.storage.repositories import Repositories

__all__ = ["Answering"]


class Answering:
    """Everything that comes from outside to the runs of one project."""

    def __init__(self, repositories: Repositories) -> None:
        self._runs = repositories.runs
        self._waiting = repositories.waiting
        self._load = repositories.values.load

    def questions(self, run: str | None = None) -> list[Question]:
        """Return the questions that nobody has answered, oldest first."""
        record = None if run is None else self._runs.get(run)
        rows = (row for row in self._waiting.rows(record) if not row.answered)
        return [question for row in rows if (question := self._question(row)) is not None]

    def _question(self, row: WaitingRow) -> Question | None:
        return read_question(
            row.state, self._load, run=row.run, task=row.path, asked_at=row.started_at, deadline=row.wake_at
        )

    def turns(self, run: str, path: str) -> list[AnsweredQuestion]:
        """Return what a task asked and was told, oldest first; see Project.answers."""
        record = self._runs.get(run)
        row = self._runs.row(record, path)
        if row is None:
            raise UnknownTaskError(f"Run {record.uid} has no task at {path!r:.200} so far.")
        place = {"run": record.uid, "task": path, "asked_at": row.started_at or 0}
        found: list[AnsweredQuestion] = []
        for turn in self._waiting.turns(row.row_id):
            question = None if turn.question is None else read_question(turn.question, self._load, **place)
            if question is not None:
                content = decode(turn.content, self._load)
                found.append(AnsweredQuestion(question, turn.action, content, turn.attempt, turn.answered_at))
        return found

    def answer(self, run: str, path: str, value: object, action: Action, turn: int | None = None) -> Question:
        """Keep the answer to a question, and return the question; see Project.answer."""
        record = self._runs.get(run)
        row = next((row for row in self._waiting.rows(record) if row.path == path), None)
        if row is None:
            raise RunStateError(self._nothing_waits(record, path))
        question = self._question(row)
        if question is None:
            waits = describe_wait(row.state, row.wake_at, self._load)
            raise RunStateError(f"'{path}' of run {record.uid} asks nobody; it waits {waits}.")
        if row.answered:
            raise RunStateError(self._answered_already(record, path))
        if turn is not None and turn != question.turn:
            raise RunStateError(
                f"'{path}' of run {record.uid} asks its turn {question.turn} now, so the answer to turn {turn} was not "
                f"kept.  It asks: {question.message}"
            )
        answer = as_answer(question, value, action)
        content = encode(answer.content, where=f"the answer to '{path}'")
        self._waiting.answer(record, path, row.attempt, answer.action, content, turn=row.turn)
        return question

    def _nothing_waits(self, record: RunRecord, path: str) -> str:
        open_ones = ", ".join(question.task for question in self.questions(record.uid)) or "none"
        row = self._runs.row(record, path)
        state = "has not been reached" if row is None else f"is {row.status}"
        who = f"{path!r:.200} of run {record.uid}"
        return f"{who} {state} and waits for no answer.  Open questions of the run: {open_ones}."

    @staticmethod
    def _answered_already(record: RunRecord, path: str) -> str:
        return (
            f"'{path}' of run {record.uid} has been answered already.  The first answer stands, and this one was not "
            "kept; to decide anew, fork the run from that task."
        )

    def send_event(self, name: str, payload: object, run: str | None) -> list[str]:
        """Send an event to one run or to every unfinished one; see Project.send_event."""
        if not is_text(name) or not name:
            raise TaskConfigurationError(f"The name of an event is a text, such as 'paid', not {name!r:.80}.")
        if run is None:
            records = self._runs.all(open_only=True)
        else:
            records = [self._runs.get(run)]
            if records[0].status in FINAL_RUN_STATUSES:
                raise RunStateError(f"Run {records[0].uid} is {records[0].status}: no event reaches it any more.")
        return self._waiting.send(name, encode({"payload": payload}, where=f"the event '{name}'"), records)

    def due(self) -> list[str]:
        """Return the runs that wait, can go on, and are driven by nobody."""
        return [uid for uid in self._waiting.due() if self._runs.is_abandoned(self._runs.get(uid))]

    def is_worth_driving(self, record: RunRecord, wait: bool | float | None) -> bool:
        """Whether a run that waits has anything to do for a process that is ready to wait so long."""
        if wait is not None and wait is not False:
            return True
        if record.uid in self._waiting.due():
            return True
        return wait is None and any(is_for_time(row) or is_for_job(row) for row in self._waiting.rows(record))


def is_for_time(row: WaitingRow) -> bool:
    """Whether nothing but the time can end the wait."""
    return '"waits_for":"time"' in row.state


def is_for_job(row: WaitingRow) -> bool:
    """Whether a worker of a queue ends the wait."""
    return row.state.startswith('{"waits_for":"job"')
