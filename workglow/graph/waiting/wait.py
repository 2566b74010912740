"""Tasks that wait for a time, an event or a person, without holding a thread or a process.

A waiting task is a row that says what it waits for.  The process may end; whatever comes is kept as a row of its own,
and whoever drives the run next goes on with it.  So a task that waits has no body: it says what it waits for (`wait`),
and makes its outputs of what came (`answered`) or of the time being over (`woken`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast

import msgspec
from msgspec.structs import replace

from workglow.errors import AnswerError, CorruptValueError, PortError, TaskInputError
from workglow.tasks import Ports, Task
from workglow.tasks.answer import Action, Answer
from workglow.values import decode, encode

if TYPE_CHECKING:
    from workglow.values import Encoded

__all__ = [
    "BUDGET_EVENT",
    "Action",
    "Answer",
    "AnsweredQuestion",
    "Question",
    "Wait",
    "WaitTask",
    "as_answer",
    "describe_wait",
    "milliseconds_of",
    "moment",
    "read_question",
    "write_wait",
]

BUDGET_EVENT: Final = "workglow.budget"
"""What a task waits for whose run has used its budget up."""

LoadValue = Callable[[bytes], tuple[str, str, bytes]]
Kind = Literal["notify", "display", "elicit"]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a task asks a person, or tells one.

    `schema` is the JSON Schema of the answer, an object; `data` is shown with the message; `target` names who is asked.
    `kind` "elicit" wants an answer, "notify" and "display" want none.  `run` and `task` say where the answer goes
    (`project.answer(run, task, …)`); `turn` counts what the task has asked; `deadline` is in milliseconds since 1970,
    None when there is none.
    """

    message: str
    schema: dict[str, Any]
    kind: Kind = "elicit"
    target: str = "default"
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    run: str = ""
    task: str = ""
    turn: int = 1
    asked_at: int = 0
    deadline: int | None = None

    @property
    def expects_answer(self) -> bool:
        """Whether the task waits until somebody answers."""
        return self.kind == "elicit"


class AnsweredQuestion(msgspec.Struct, frozen=True):
    """A question and what ended it: an action of a person, or "expired" when the deadline passed before.

    `attempt` is the attempt of the task that asked; `answered_at` is in milliseconds since 1970.
    """

    question: Question
    action: str
    content: dict[str, Any]
    attempt: int
    answered_at: int


class Wait(msgspec.Struct, frozen=True):
    """What a task waits for: a question to a person, or the event of this name, at most until a time; or for that time.

    Or for a worker of the queue of this name.

    `until` is in milliseconds since 1970.
    """

    until: int | None = None
    event: str | None = None
    question: Question | None = None
    queue: str | None = None

    @property
    def is_for_time(self) -> bool:
        """Whether nothing but the time can end it."""
        return self.event is None and self.question is None and self.queue is None

    def limited(self, timeout: float | None, now: int) -> Wait:
        """Return the wait with a timeout, in seconds, as its deadline, unless it ends before or is for a time."""
        if not timeout or self.is_for_time:
            return self
        ends = now + round(timeout * 1000)
        return replace(self, until=ends if self.until is None else min(ends, self.until))


class WaitTask(Task):
    """A task that waits.  Its `timeout`, in seconds, is a deadline that is kept in the file like any other.

    A subclass writes `wait`, and `answered` or `woken`.  What enters its open ports it passes on.
    """

    category: ClassVar[str] = "Waiting"
    cacheable: ClassVar[bool] = False
    passthrough: ClassVar[bool] = True
    has_body: ClassVar[bool] = False

    @property
    def mode(self) -> str:
        return "wait"

    @property
    def needs_context(self) -> bool:
        return False

    def wait(self, inputs: dict[str, Any], now: int) -> Wait:
        """Say what it waits for; `now` is in milliseconds since 1970."""
        raise NotImplementedError

    def answered(self, inputs: dict[str, Any], action: str, content: dict[str, Any]) -> dict[str, Any] | Wait:
        """Return the outputs, now that an answer (or an event: "event" and its payload) has come; or the next wait."""
        raise NotImplementedError

    def woken(self, inputs: dict[str, Any], until: int) -> dict[str, Any]:
        """Return the outputs, now that the time is over; TaskTimeoutError when something else was waited for."""
        raise NotImplementedError

    def passed_on(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return what entered the open ports."""
        declared = self.inputs
        return {name: value for name, value in inputs.items() if name not in declared}


def moment(milliseconds: int) -> str:
    """Write a time for people."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


# ---------------------------------------------------------------------- as it is stored


def write_wait(wait: Wait, where: str, *, turn: int = 1, now: int = 0) -> Encoded:
    """Return the state of a task's row that says what it waits for; UnstorableValueError for data that is no value.

    A later turn says its number, and when it began: the row's own `started_at` is older.
    """
    later: dict[str, object] = {"turn": turn, "asked_at": now} if turn > 1 else {}
    if wait.queue is not None:
        return encode({"waits_for": "job", "queue": wait.queue}, where=where)
    if wait.question is None:
        facts = {"waits_for": "time"} if wait.event is None else {"waits_for": "event", "event": wait.event}
        return encode({**facts, **later}, where=where)
    question = wait.question
    shown = {name: getattr(question, name) for name in ("message", "kind", "target", "schema", "data", "metadata")}
    return encode({"waits_for": "person", **shown, **later}, where=where)


def read_question(state: str, load: LoadValue, **place: Any) -> Question | None:
    """Read the question that a task's row holds; None when it waits for something else."""
    facts = decode(state, load)
    if facts.pop("waits_for", None) != "person":
        return None
    try:
        return msgspec.convert({**place, **facts}, Question)
    except msgspec.ValidationError as error:
        raise CorruptValueError(
            f"A stored question cannot be read: {error}.  `workglow doctor` checks the file."
        ) from None


def describe_wait(state: str | None, wake_at: int | None, load: LoadValue) -> str:
    """Say in a few words what a waiting task waits for."""
    facts = decode(state or "{}", load)
    until = "" if wake_at is None else f"until {moment(wake_at)}"
    match facts.get("waits_for"):
        case "person":
            turn = f", turn {facts['turn']}" if "turn" in facts else ""
            reason = f"for a person{turn}: {facts.get('message')}"
        case "event" if facts.get("event") == BUDGET_EVENT:
            reason = "for a larger budget: that of the run is used up"
        case "event":
            reason = f"for the event '{facts.get('event')}'"
        case "job":
            reason = f"for a worker of the queue '{facts.get('queue')}'"
        case _:
            return until
    return f"{reason}, {until}" if until else reason


# ---------------------------------------------------------------------- answers


def as_answer(question: Question, value: object, action: Action | Literal["default"] = "accept") -> Answer:
    """Return an answer that fits the question's schema; AnswerError says what does not.

    A value that is no mapping answers a question with one required field, or with one field in all.  Defaults of the
    schema are filled in.  Who declines or cancels may give a `reason`, if the schema has one.
    """
    if isinstance(value, Answer):
        value, action = value.content, value.action
    if action not in ("accept", "decline", "cancel"):
        raise AnswerError(f"'{action}' is no way to answer; give 'accept', 'decline' or 'cancel'.")
    ports = Ports.from_schema(question.schema)
    where = f"The answer to '{question.task}'" if question.task else "The answer"
    content = _content(question, value, where)
    try:
        if action != "accept":
            return Answer(ports.check_given(content), action)
        return Answer(ports.check(content), action)
    except PortError as error:
        raise AnswerError(f"{where} does not fit its schema: {error}") from None


def _content(question: Question, value: object, where: str) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Any]", value))
    if value is None:
        return {}
    fields = question.schema.get("required") or list(question.schema.get("properties", ()))
    if len(fields) != 1:
        raise AnswerError(f"{where} needs a value for each field; give a mapping with {', '.join(fields) or 'none'}.")
    return {fields[0]: value}


def milliseconds_of(value: float, who: str) -> int:
    """Return seconds as milliseconds; TaskInputError when they are no span of time."""
    if not 0 <= value < 1e11:
        raise TaskInputError(f"{who}: {value!r} is no number of seconds to wait; give 0 or more.")
    return round(value * 1000)
