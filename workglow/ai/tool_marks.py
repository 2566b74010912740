"""What stands between the marks of a call: each family of models writes it in a way of its own."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workglow.ai.request import ToolDefinition

__all__ = ["NamedCall", "calls_between_marks", "calls_of_value", "json_at"]

_ARGUMENTS: Final = ("arguments", "parameters", "input", "args")
_NAMES: Final = ("name", "tool_name")
_BETWEEN: Final = re.compile(r"[\s,;]*")
_NAME: Final = r"[A-Za-z_][\w./:-]{0,127}"
_NAMED: Final = re.compile(
    rf"(?:<｜tool▁call▁begin｜>)?(?:function<｜tool▁sep｜>)?(?P<name>{_NAME})"  # noqa: RUF001 - DeepSeek's own marks
    r"(?:\[CALL_ID\](?P<id>\w{1,64}))?(?:\[ARGS\]|<｜tool▁sep｜>)?\s{0,40}(?:```json)?\s{0,40}(?=\{)"  # noqa: RUF001
)
_AFTER_NAMED: Final = re.compile(r"\s{0,40}(?:```)?\s{0,40}(?:<｜tool▁call▁end｜>)?[\s,;]{0,40}(?:\[TOOL_CALLS\])?")  # noqa: RUF001
_TAGGED: Final = re.compile(rf"(?:<function=)?(?P<name>{_NAME})>")
_PARAMETER: Final = re.compile(rf"<parameter=(?P<name>{_NAME})>\n?")
_ARGUMENT: Final = re.compile(r"<arg_key>([^<]{1,128})</arg_key>\s{0,40}<arg_value>")
_GLM_NAME: Final = re.compile(rf"\s{{0,40}}({_NAME})\s{{0,40}}(?=<arg_key>|$)")
_LONGEST_PYTHON: Final = 100_000


class NamedCall(NamedTuple):
    """A call as the model wrote it; it rarely gives an id."""

    name: str
    input: dict[str, Any]
    id: str = ""


def calls_between_marks(mark: str, body: str, tools: Mapping[str, ToolDefinition]) -> list[NamedCall]:
    """Return the calls that stand behind a mark; none when it cannot be read."""
    if mark == "<function=":
        return _tagged(body, tools)
    body = body.strip().removeprefix("<|plugin|>").removeprefix("<function_calls>").strip()
    if body[:1] in ("{", "["):
        return list(_objects(body)) or _python(body)
    if body.startswith("<function="):
        return _tagged(body, tools)
    if "<arg_key>" in body:
        return _keyed(body, tools)
    return list(_named(body)) or _python(body)


def calls_of_value(value: Any, *, needs_arguments: bool = False) -> list[NamedCall]:
    """Return the calls that a decoded object or list is; none when any of it is no call."""
    if isinstance(value, list):
        items = [calls_of_value(one, needs_arguments=needs_arguments) for one in cast("list[Any]", value)]
        return [call for found in items for call in found] if all(items) else []
    if not isinstance(value, dict):
        return []
    given = cast("dict[str, Any]", value)
    if isinstance(given.get("tool_calls"), list):
        return calls_of_value(given["tool_calls"], needs_arguments=needs_arguments)
    identity = given.get("id", given.get("tool_call_id"))
    if isinstance(given.get("function"), dict):
        given = cast("dict[str, Any]", given["function"])
    name = next((given[key] for key in _NAMES if isinstance(given.get(key), str)), None)
    found = [given[key] for key in _ARGUMENTS if key in given]
    held: Any = found[0] if found else None if needs_arguments else dict[str, Any]()
    if isinstance(held, str):  # an object, written as a text once more
        decoded = json_at(held.strip(), 0)
        held = decoded[0] if decoded is not None else None
    if not name or not isinstance(held, dict):
        return []
    return [NamedCall(name, cast("dict[str, Any]", held), identity if isinstance(identity, str) else "")]


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


_DECODER: Final = json.JSONDecoder(strict=False, parse_constant=_refuse)  # models break lines inside strings


def json_at(text: str, begin: int) -> tuple[Any, int] | None:
    """Decode the JSON value that begins there: the value, and the place behind it."""
    try:
        value, end = _DECODER.raw_decode(text, begin)
        if "\\u" in text[begin:end]:
            json.dumps(value, ensure_ascii=False).encode()  # half a character cannot be stored
    except (ValueError, RecursionError):
        return None
    return value, end


def _objects(body: str) -> Iterator[NamedCall]:
    """One object or list after the other, as far as they can be read."""
    at = 0
    while at < len(body) and (decoded := json_at(body, at)) is not None:
        value, end = decoded
        yield from calls_of_value(value)
        between = _BETWEEN.match(body, end)
        at = between.end() if between is not None else end


def _named(body: str) -> Iterator[NamedCall]:
    """`name{…}`, with whatever marks between."""
    at = 0
    while (found := _NAMED.match(body, at)) is not None:
        decoded = json_at(body, found.end())
        if decoded is None or not isinstance(decoded[0], dict):
            return
        yield NamedCall(found["name"], decoded[0], found["id"] or "")
        after = _AFTER_NAMED.match(body, decoded[1])
        at = after.end() if after is not None else decoded[1]


def _tagged(body: str, tools: Mapping[str, ToolDefinition]) -> list[NamedCall]:
    """`<function=name>` with an object, or with `<parameter=…>` for each argument."""
    calls: list[NamedCall] = []
    for part in body.split("</function>"):
        found = _TAGGED.match(part.strip())
        if found is None:
            continue
        name, rest = found["name"], part.strip()[found.end() :].strip()
        if rest.startswith("{"):
            decoded = json_at(rest, 0)
            if decoded is not None and isinstance(decoded[0], dict):
                calls.append(NamedCall(name, decoded[0]))
        elif not rest or rest.startswith("<parameter="):
            pieces = _PARAMETER.split(rest)[1:]
            written = {key: _value(text, "</parameter>") for key, text in zip(pieces[::2], pieces[1::2], strict=True)}
            calls.append(NamedCall(name, _by_schema(name, written, tools)))
    return calls


def _keyed(body: str, tools: Mapping[str, ToolDefinition]) -> list[NamedCall]:
    """The name, and then `<arg_key>` and `<arg_value>` in turn."""
    found = _GLM_NAME.match(body)
    if found is None:
        return []
    pieces = _ARGUMENT.split(body)[1:]
    written = {key.strip(): _value(text, "</arg_value>") for key, text in zip(pieces[::2], pieces[1::2], strict=True)}
    return [NamedCall(found[1], _by_schema(found[1], written, tools))]


def _value(text: str, closing: str) -> str:
    return text.rpartition(closing)[0].removesuffix("\n") if closing in text else text.strip()


def _by_schema(name: str, written: Mapping[str, str], tools: Mapping[str, ToolDefinition]) -> dict[str, Any]:
    """Texts stand for numbers, lists and the like where the tool's schema wants no text."""
    tool = tools.get(name)
    properties: Mapping[str, Any] = tool.input_schema.get("properties", {}) if tool is not None else {}
    return {key: _as_wanted(text, properties.get(key)) for key, text in written.items()}


def _as_wanted(text: str, schema: Any) -> Any:
    wanted = cast("dict[str, Any]", schema).get("type") if isinstance(schema, dict) else None
    if wanted == "string" or (isinstance(wanted, list) and "string" in wanted):
        return text
    decoded = json_at(text.strip(), 0)
    if decoded is None or decoded[1] != len(text.strip()):
        return text
    value: Any = decoded[0]
    is_object = isinstance(value, dict | list)
    return cast("Any", value) if is_object or wanted is not None else text


def _python(body: str) -> list[NamedCall]:
    """Calls as Python writes them, `[weather(city="Paris")]`, with nothing but literals in them."""
    if len(body) > _LONGEST_PYTHON:
        return []
    try:
        tree = ast.parse(body, mode="eval").body
        calls = tree.elts if isinstance(tree, ast.List) else [tree]
        return [_python_call(call) for call in calls]
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        return []


def _python_call(node: ast.expr) -> NamedCall:
    if not isinstance(node, ast.Call) or node.args:
        raise ValueError("no call with named arguments")
    name = ast.unparse(node.func).removesuffix(".call")
    if re.fullmatch(_NAME, name) is None:
        raise ValueError("no name")
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords}
    json.dumps(given, allow_nan=False)  # a TypeError is a set, say
    return NamedCall(name, cast("dict[str, Any]", given))
