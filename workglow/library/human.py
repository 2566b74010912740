"""HumanInputTask and HumanApprovalTask: a person answers before the run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from workglow.errors import AnswerError, TaskConfigurationError, TaskTimeoutError
from workglow.graph.waiting.wait import Question, Wait, WaitTask, as_answer, moment
from workglow.library.delay import time_of
from workglow.tasks import Port, Ports

__all__ = ["HumanApprovalTask", "HumanInputTask"]

_NOTHING: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
_ACTION = {"type": "string", "enum": ["accept", "decline", "cancel", "default"]}
_DONE = {"type": "boolean", "title": "Done?", "default": True}
_APPROVAL: dict[str, Any] = {
    "type": "object",
    "properties": {"approved": {"type": "boolean"}, "reason": {"type": "string"}},
    "required": ["approved"],
    "additionalProperties": False,
}
_SAID = frozenset({"approved", "action", "reason"})


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    message: str = ""
    target: str = Field(default="default", alias="targetHumanId")
    metadata: dict[str, Any] = {}
    deadline: datetime | str | None = None


class _InputConfig(_Config):
    content_schema: dict[str, Any] = Field(default=_NOTHING, alias="contentSchema")
    kind: Literal["notify", "display", "elicit"] = "elicit"
    mode: Literal["single", "multi-turn"] = "single"
    default: dict[str, Any] | None = None


class _ApprovalConfig(_Config):
    default: bool | None = None


class _HumanTask(WaitTask):
    inputs = Ports(  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
        [
            Port("prompt", str, required=False),
            Port("content_data", dict, required=False),
            Port("context", dict, required=False),
        ],
        open=True,
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._check()

    def replace(self, **changes: Any) -> Any:
        """Return a task that differs in what is given."""
        changed = super().replace(**changes)
        changed._check()
        return changed

    def _check(self) -> None:
        if self.config["deadline"] is not None:
            time_of(self.config["deadline"], self._who)

    def _question(self, inputs: dict[str, Any], schema: dict[str, Any], kind: str) -> Wait:
        config = self.config
        said = [text for text in (config["message"], inputs.get("prompt")) if text]
        question = Question(
            message="\n\n".join(said),
            schema=schema,
            kind=cast("Any", kind),
            target=config["target"],
            data={**self.passed_on(inputs), **inputs.get("content_data", {})},
            metadata={**config["metadata"], **inputs.get("context", {})},
        )
        deadline = config["deadline"]
        return Wait(None if deadline is None else time_of(deadline, self._who), question=question)

    def _unanswered(self, until: int) -> TaskTimeoutError:
        return TaskTimeoutError(f"{self._who}: nobody answered by {moment(until)}: {self.config['message']}")


class HumanInputTask(_HumanTask):
    """Ask a person, and give the fields of the answer and the `action`: accept, decline or cancel.

    `message` is the question, which the input `prompt` continues; every other input is shown with it.
    `content_schema` is the JSON Schema of the answer, an object.  `deadline` is a time and `timeout` a number of
    seconds; after it the answer is `default` (and the action "default"), or the task fails with a TaskTimeoutError.
    `kind` "notify" and "display" tell the person something and wait for nothing.

    With `mode` "multi-turn" the answer has one field more, `done`: whoever answers with `done` false is asked again,
    and is shown the answer before as `previous`.  The last answer comes out; a deadline is one of each turn.
    """

    type: ClassVar[str] = "HumanInputTask"
    title: ClassVar[str] = "Human input"
    description: ClassVar[str] = "Asks a person, and waits for the answer."
    version = "1"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    Config: ClassVar[type[BaseModel] | None] = _InputConfig
    passthrough: ClassVar[bool] = False

    @property
    def outputs(self) -> Ports:
        """The fields of the answer, and the action."""
        schema = self.config["content_schema"]
        fields = {**schema.get("properties", {}), "action": _ACTION}
        is_open = schema.get("additionalProperties", True) is not False
        ports = {"type": "object", "properties": fields, "required": ["action"], "additionalProperties": is_open}
        return Ports.from_schema(ports)

    def _check(self) -> None:
        super()._check()
        schema, default = self.config["content_schema"], self.config["default"]
        if schema.get("type", "object") != "object" or not isinstance(schema.get("properties", {}), Mapping):
            raise TaskConfigurationError(f"{self._who}: content_schema has to be a JSON Schema of type object.")
        if "action" in schema.get("properties", {}):
            raise TaskConfigurationError(
                f"{self._who}: the answer has its own field 'action'; give yours another name."
            )
        if self._has_turns and ("done" in schema.get("properties", {}) or self.config["kind"] != "elicit"):
            raise TaskConfigurationError(
                f"{self._who}: with several turns the answer has its own field 'done', and the kind is 'elicit'."
            )
        if default is not None:
            try:
                as_answer(Question(message="", schema=schema), default)
            except AnswerError as error:
                raise TaskConfigurationError(f"{self._who}: default: {error}") from None

    @property
    def _has_turns(self) -> bool:
        return self.config["mode"] == "multi-turn"

    def wait(self, inputs: dict[str, Any], now: int) -> Wait:
        schema = self.config["content_schema"]
        if self._has_turns:
            schema = {**schema, "properties": {**schema.get("properties", {}), "done": _DONE}}
        return self._question(inputs, schema, self.config["kind"])

    def answered(self, inputs: dict[str, Any], action: str, content: dict[str, Any]) -> dict[str, Any] | Wait:
        if not self._has_turns:
            return {**content, "action": action}
        said = {name: value for name, value in content.items() if name != "done"}
        if action == "accept" and content.get("done") is False:
            shown = {**inputs.get("content_data", {}), "previous": said}
            return self.wait({**inputs, "content_data": shown}, 0)
        return {**said, "action": action}

    def woken(self, inputs: dict[str, Any], until: int) -> dict[str, Any]:
        if self.config["default"] is None:
            raise self._unanswered(until)
        return {**self.config["default"], "action": "default"}


class HumanApprovalTask(_HumanTask):
    """Let a person approve what comes in: `approved`, `action` and, when one was given, `reason`.

    It is a gate: what comes in goes on when the person approves, and otherwise the tasks that take it from here are
    disabled.  `deadline`, `timeout` and `default` (True or False) are those of HumanInputTask.
    """

    type: ClassVar[str] = "HumanApprovalTask"
    title: ClassVar[str] = "Human approval"
    description: ClassVar[str] = "Asks a person for approval, and passes its inputs on when it is given."
    version = "1"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    switches_ports: ClassVar[bool] = True
    Config: ClassVar[type[BaseModel] | None] = _ApprovalConfig
    outputs = Ports.from_schema(  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
        {
            "type": "object",
            "properties": {"approved": {"type": "boolean"}, "action": _ACTION, "reason": {"type": "string"}},
            "required": ["approved", "action"],
            "additionalProperties": True,
        }
    )

    def wait(self, inputs: dict[str, Any], now: int) -> Wait:
        return self._question(inputs, _APPROVAL, "elicit")

    def answered(self, inputs: dict[str, Any], action: str, content: dict[str, Any]) -> dict[str, Any]:
        approved = action == "accept" and content.get("approved") is True
        return {**self.passed_on(inputs), **content, "approved": approved, "action": action}

    def woken(self, inputs: dict[str, Any], until: int) -> dict[str, Any]:
        if self.config["default"] is None:
            raise self._unanswered(until)
        return {**self.passed_on(inputs), "approved": self.config["default"], "action": "default"}

    def is_optional(self, port: str) -> bool:
        """Say whether the port may be off: what came in goes on only when it was approved."""
        return port not in _SAID

    def inactive_ports(
        self, inputs: Mapping[str, object], outputs: Mapping[str, object], wired: set[str]
    ) -> frozenset[str]:
        """Return the ports that deliver nothing: what came in, unless it was approved."""
        return frozenset() if outputs["approved"] else frozenset(wired - _SAID)
