"""What the body of a task asks, turn by turn.

The policy.  Turns are numbered in the order in which the body asks.  A turn that was answered, in this attempt or an
earlier one, in this process or another, has its answer at once; so whoever begins the body anew asks nobody twice.
Only a deadline that passed without a default is forgotten by the next attempt: that attempt asks again.  One question
of a task is open at a time; the next one waits for its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from workglow.errors import AnswerError, QuestionChangedError, TaskConfigurationError, TaskTimeoutError
from workglow.graph.waiting.wait import Question, Wait, as_answer, milliseconds_of
from workglow.tasks import Ports
from workglow.tasks.answer import Answer
from workglow.values import decode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workglow.graph.schedule import TaskRun
    from workglow.graph.waiting.conversations import Conversations
    from workglow.graph.waiting.wait import LoadValue
    from workglow.storage.records import TurnRecord

__all__ = ["Conversation", "Turn", "read_turns"]

_TEXT: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


class Turn(NamedTuple):
    """A question that was answered, or whose deadline has passed (the action "expired")."""

    attempt: int
    action: str
    content: dict[str, Any]
    message: str
    schema: Mapping[str, Any]


def read_turns(records: Iterable[TurnRecord], load: LoadValue) -> dict[int, Turn]:
    """Return what a task asked and was told, by turn; of several attempts the last."""
    turns: dict[int, Turn] = {}
    for record in records:
        asked: dict[str, Any] = decode(record.question or "{}", load)
        content = decode(record.content, load)
        message, schema = asked.get("message", ""), asked.get("schema", {})
        turns[record.turn] = Turn(record.attempt, record.action, content, message, schema)
    return turns


class Conversation:
    """The questions of one attempt of one task."""

    __slots__ = ("_answer", "_attempt", "_conversations", "_lock", "_open", "_run", "_turn")

    def __init__(self, run: TaskRun, conversations: Conversations) -> None:
        self._run = run
        self._attempt = run.attempt
        self._conversations = conversations
        self._turn = 0
        self._lock: asyncio.Lock | None = None
        self._answer: asyncio.Future[Turn] | None = None
        self._open: Question | None = None

    async def ask(
        self,
        message: str,
        schema: Mapping[str, Any] | type | None,
        *,
        data: Mapping[str, Any],
        target: str,
        timeout: float | None,
        default: Mapping[str, Any] | None,
    ) -> Answer:
        """Ask one question; see TaskContext.ask."""
        run = self._run
        self._turn = turn = self._turn + 1
        who = f"Task '{run.path}'"
        question = Question(
            message=message, schema=_schema(schema, who), data=dict(data), target=target, task=run.path, turn=turn
        )
        filled = None if default is None else _default(question, default, who)
        self._lock = self._lock or asyncio.Lock()
        async with self._lock:
            told = self._told(question, has_default=filled is not None)
            if told is None:
                until = None if timeout is None else self._conversations.now() + milliseconds_of(timeout, who)
                told = await self._wait(question, until)
        if told.action == "expired":
            if filled is None:
                raise TaskTimeoutError(f"{who}: nobody answered in time: {message}")
            return Answer(filled, "default")
        return Answer(dict(told.content), cast("Any", told.action))

    def _told(self, question: Question, *, has_default: bool) -> Turn | None:
        turns = self._conversations.turns_of(self._run)
        known = turns.get(question.turn)
        if known is None or (known.action == "expired" and known.attempt < self._attempt and not has_default):
            return None
        if (known.message, known.schema) != (question.message, question.schema):
            raise QuestionChangedError(
                f"Task '{self._run.path}' asks in turn {question.turn} {question.message!r}, but what was answered "
                f"there is {known.message!r}.  A task has to ask the same questions in the same order whenever it "
                "is begun: make them of its inputs and the answers, or fork the run to ask anew."
            )
        return known

    async def _wait(self, question: Question, until: int | None) -> Turn:
        run, conversations = self._run, self._conversations
        if run.attempt != self._attempt or run.status != "running":
            raise asyncio.CancelledError  # an attempt that nobody waits for any more
        self._open, self._answer = question, asyncio.get_running_loop().create_future()
        conversations.ask(run, self, Wait(until, question=question), question.turn)
        try:
            return await self._answer
        finally:
            self._open = self._answer = None
            if run.conversation is self and conversations.withdraw(run):
                conversations.go_on(run)

    def tell(self, action: str, content: dict[str, Any]) -> None:
        """Hand the answer to the open question to the body."""
        question, answer = self._open, self._answer
        if question is None or answer is None:
            return
        told = Turn(self._attempt, action, content, question.message, question.schema)
        self._conversations.turns_of(self._run)[question.turn] = told
        if not answer.done():
            answer.set_result(told)


def _schema(schema: Mapping[str, Any] | type | None, who: str) -> dict[str, Any]:
    if schema is None:
        return _TEXT
    known = Ports.from_model(schema).schema if isinstance(schema, type) else schema
    if known.get("type", "object") != "object" or not isinstance(known.get("properties", {}), Mapping):
        raise TaskConfigurationError(f"{who}: a question's schema has to be a JSON Schema of type object.")
    try:
        return msgspec.json.decode(msgspec.json.encode(known))  # as it will be read back
    except (TypeError, msgspec.MsgspecError) as error:
        raise TaskConfigurationError(f"{who}: a question's schema has to be JSON: {error}.") from None


def _default(question: Question, default: Mapping[str, Any], who: str) -> dict[str, Any]:
    try:
        return as_answer(question, default).content
    except AnswerError as error:
        raise TaskConfigurationError(f"{who}: default: {error}") from None
