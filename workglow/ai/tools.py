"""Tools that models may call: what they are told of them, and which of their calls can be carried out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from typing_extensions import TypedDict

from workglow.ai.request import ToolDefinition
from workglow.errors import InvalidValueError, PortError, TaskConfigurationError, UnknownTaskTypeError, WorkglowError
from workglow.tasks import Ports, Task

if TYPE_CHECKING:
    from workglow.ai.events import ToolCall
    from workglow.tasks import TaskRegistry

__all__ = [
    "CallRecord",
    "InvalidCall",
    "bound_tool",
    "build_tool_description",
    "call_fault",
    "check_tool_choice",
    "filter_valid_tool_calls",
    "is_too_deep",
    "task_types_to_tools",
    "tool_definitions",
]

_DEEPEST: Final = 64
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class CallRecord(TypedDict):
    """A call as it goes through graphs."""

    id: str
    name: str
    input: dict[str, Any]


class InvalidCall(CallRecord):
    """A call that cannot be carried out, and why; what could not be read at all has no name."""

    error: str


def build_tool_description(description: str, output_schema: Mapping[str, Any] | None = None) -> str:
    """Return what a model is told of a tool; with the schema of its outputs it also learns what comes back."""
    if not output_schema:
        return description
    return f"{description}\n\nReturns: {msgspec.json.encode(output_schema).decode()}".strip()


def task_types_to_tools(names: Iterable[str], registry: TaskRegistry) -> list[Mapping[str, Any]]:
    """Describe registered task types as tools; UnknownTaskTypeError for a name that is none."""
    return [_described(name, registry) for name in names]


def _described(given: str | type[Task] | Mapping[str, Any], registry: TaskRegistry) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    try:
        kind = registry.get(given) if isinstance(given, str) else given
    except UnknownTaskTypeError:
        raise UnknownTaskTypeError(f'Unknown task type "{given}". {registry.remedy(str(given))}') from None
    inputs, outputs = (_ports(kind, which) for which in ("inputs", "outputs"))
    return {
        "name": kind.type,
        "description": kind.description,
        "inputSchema": inputs.schema,
        "outputSchema": outputs.schema,
        "taskType": kind.type,
    }


def _ports(kind: type[Task], which: str) -> Ports:
    ports = getattr(kind, which)
    return ports if isinstance(ports, Ports) else getattr(kind(), which)  # they differ from task to task


def tool_definitions(
    given: Iterable[str | type[Task] | Mapping[str, Any]], registry: TaskRegistry
) -> tuple[ToolDefinition, ...]:
    """Return the tools that task types, their names, and descriptions stand for.

    A description has `name`, `description` and `inputSchema`, perhaps `outputSchema`.  Raises UnknownTaskTypeError, and
    InvalidValueError for a description that is none and for two tools of one name.
    """
    tools: dict[str, ToolDefinition] = {}
    for at, one in enumerate(given):
        tool = _defined(_described(one, registry), f"tools[{at}]")
        if tool.name in tools:
            raise InvalidValueError(
                f"tools[{at}]: there is a tool called {tool.name!r} already; a model calls by name."
            )
        tools[tool.name] = tool
    return tuple(tools.values())


def _defined(described: Mapping[str, Any], place: str) -> ToolDefinition:
    name, text = described.get("name"), described.get("description") or ""
    schema = described.get("inputSchema", described.get("input_schema"))
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidValueError(
            f"{place}: {name!r:.80} cannot name a tool; a name has 1 to 64 letters, digits, '_' and '-'."
        )
    if not isinstance(text, str):
        raise InvalidValueError(f"{place}: the description of {name!r} is no text.")
    schema = dict[str, Any](type="object", properties={}) if schema is None else schema
    if not isinstance(schema, Mapping) or cast("Mapping[str, Any]", schema).get("type", "object") != "object":
        raise InvalidValueError(f"{place}: the inputSchema of {name!r} has to be a JSON Schema of type object.")
    returns = described.get("outputSchema", described.get("output_schema"))
    return ToolDefinition(name, build_tool_description(text, returns), cast("Mapping[str, Any]", schema))


def bound_tool(name: str, task: Task) -> dict[str, Any]:
    """Describe a task as a tool; inputs that it has literals for are its owner's, and no model learns of them."""
    if _NAME.fullmatch(name) is None:
        raise TaskConfigurationError(
            f"{name!r} cannot name a tool; give its task an id of 1 to 64 letters, digits, '_' and '-'."
        )
    schema = task.inputs.schema
    bound = task.defaults.keys()
    properties = {key: part for key, part in schema["properties"].items() if key not in bound}
    required = [key for key in schema.get("required", ()) if key not in bound]
    own = {**schema, "properties": properties, **({"required": required} if required else {})}
    if not required:
        own.pop("required", None)
    holds_graph = hasattr(task, "subgraph") and "description" not in vars(task)
    text = (task.title or name) if holds_graph else task.description
    return {"name": name, "description": text, "inputSchema": own}


def filter_valid_tool_calls(
    calls: Iterable[ToolCall], tools: Iterable[ToolDefinition | Mapping[str, Any]]
) -> list[ToolCall]:
    """Return the calls of tools that there are."""
    names = {tool.name if isinstance(tool, ToolDefinition) else tool["name"] for tool in tools}
    return [call for call in calls if call.name and call.name in names]


def is_too_deep(value: object) -> bool:
    """Whether an input is nested deeper than any tool needs; such a one can be neither checked nor stored."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for held in level for inner in _inside(held)]
        if not level:
            return False
    return True


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


def call_fault(call: ToolCall, tools: Mapping[str, ToolDefinition]) -> str | None:
    """Say why a call cannot be carried out: no such tool, or an input that does not fit; None when it can."""
    tool = tools.get(call.name)
    if tool is None:
        return f"There is no tool {call.name!r:.80}.  The tools are: {', '.join(tools) or 'none'}."
    try:
        Ports.from_schema(tool.input_schema).check(dict(call.input))
    except PortError as error:
        return f"The input of {call.name!r} does not fit: {error}"
    except (WorkglowError, RecursionError, TypeError, ValueError) as error:
        return f"The input of {call.name!r} does not fit: {type(error).__name__}."
    return None


def check_tool_choice(choice: str, tools: Iterable[ToolDefinition]) -> None:
    """Raise InvalidValueError unless it is 'auto', 'none', 'required' or the name of a tool."""
    names = [tool.name for tool in tools]
    if choice not in ("auto", "none", "required", *names):
        known = ", ".join(map(repr, names)) or "none was given"
        raise InvalidValueError(f"tool_choice is {choice!r}; give 'auto', 'none', 'required' or a tool: {known}.")
    if choice == "required" and not names:
        raise InvalidValueError("tool_choice is 'required', but there are no tools.")
