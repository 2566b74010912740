"""Templates, regular expressions and strings."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.errors import ResourceLimitError, TaskInputError
from workglow.graph.building.workflow import Workflow
from workglow.graph.graph import TaskGraph
from workglow.library.text import TemplateTask, fill, natural_order


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("Dear {{name}}", "Dear Ann"),
        ("{{ customer.city }}", "Oslo"),
        ("{{customer.zip|none}}", "none"),
        ("{{nobody}}!", "!"),
        ("{{empty|x}}", ""),
        ("{{nothing|x}}", "x"),
        ("{{one}} {{half}} {{yes}}", "1 0.5 true"),
        ("{{list.1}} {{list}}", 'b ["a","b"]'),
        ("{{customer}}", '{"city":"Oslo"}'),
        ("{name} {{{name}}}", "{name} {Ann}"),
    ],
)
def test_a_template_is_filled(template: str, filled: str, run: Any) -> None:
    values = {
        "name": "Ann", "customer": {"city": "Oslo"}, "empty": "", "nothing": None, "one": 1.0, "half": 0.5, "yes": True,
        "list": ["a", "b"],
    }  # fmt: skip
    result = run("TemplateTask", {"template": template, "values": values})["result"]
    assert result == filled
    assert run("StringTemplateTask", {"template": template, "values": values})["text"] == result


@settings(deadline=None)
@given(st.text(), st.text())
def test_what_is_put_in_is_not_filled_again(before: str, value: str) -> None:
    plain = before.replace("{", "")
    assert fill(plain + "{{x}}", {"x": "{{y}}" + value, "y": "no"}) == plain + "{{y}}" + value


def test_a_value_without_a_text_is_refused() -> None:
    with pytest.raises(TaskInputError, match="no text for <object"):
        fill("{{x}}", {"x": object()})


def test_a_template_has_a_preview() -> None:
    graph = TaskGraph()
    graph.add_task(TemplateTask(defaults={"template": "{{a}}"}), id="t")
    assert graph.preview({"values": {"a": "x"}}).outputs == {"result": "x"}


@pytest.mark.usefixtures("javascript")
@pytest.mark.extra("javascript")
@pytest.mark.parametrize(
    ("value", "pattern", "flags", "match", "matches"),
    [
        ("a1b22", r"\d+", "g", True, ["1", "22"]),
        ("a1b22", r"([a-z])(\d+)", "", True, ["a1", "a", "1"]),
        ("abc", r"(x)?b", "", True, ["b", None]),
        ("abc", "x", "", False, []),
        ("abc", "x", "g", False, []),
        ("ABC", "b", "i", True, ["B"]),
        ("ab", r"(?<=a)(?<last>b)", "", True, ["b", "b"]),
        ("\U0001f600", "^.$", "u", True, ["\U0001f600"]),
        ("a\n", "^a$", "", False, []),
    ],
)
def test_a_pattern_is_found(value: str, pattern: str, flags: str, match: bool, matches: list[str], run: Any) -> None:
    inputs = {"value": value, "pattern": pattern, "flags": flags}
    assert run("RegexTask", inputs) == {"match": match, "matches": matches}


@pytest.mark.usefixtures("javascript")
@pytest.mark.extra("javascript")
@pytest.mark.parametrize(("pattern", "flags"), [("(", ""), ("a", "q"), ("a{2,1}", ""), ("[z-a]", "")])
def test_a_pattern_that_is_none_is_refused(pattern: str, flags: str, run: Any) -> None:
    with pytest.raises(TaskInputError, match=re.escape(f"The pattern {pattern!r} cannot be used: ")):
        run("RegexTask", {"value": "a", "pattern": pattern, "flags": flags})


@pytest.mark.usefixtures("javascript")
@pytest.mark.extra("javascript")
@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "^(a?){40}a{40}b", "(((a{0,999}){0,999}){0,999})*c"])
def test_a_pattern_that_would_never_end_is_stopped(pattern: str, run: Any) -> None:
    with pytest.raises((ResourceLimitError, TaskInputError), match="The pattern "):
        run("RegexTask", {"value": "a" * 60 + "!", "pattern": pattern})


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        ("StringConcatTask", {"text_10": "c", "text_2": "b", "text_1": "a"}, {"text": "abc"}),
        ("StringIncludesTask", {"text": "abc", "search": "bc"}, {"included": True}),
        ("StringIncludesTask", {"text": "abc", "search": "b."}, {"included": False}),
        ("StringJoinTask", {"texts": ["a", "b"], "separator": ", "}, {"text": "a, b"}),
        ("StringJoinTask", {"texts": []}, {"text": ""}),
        ("StringLengthTask", {"text": "é\U0001f600"}, {"length": 2}),
        ("StringLowerCaseTask", {"text": "AÉ"}, {"text": "aé"}),
        ("StringUpperCaseTask", {"text": "aé"}, {"text": "AÉ"}),
        ("StringReplaceTask", {"text": "a.a.", "search": ".", "replace": "$1"}, {"text": "a$1a$1"}),
        ("StringSliceTask", {"text": "hello", "start": 1, "end": -1}, {"text": "ell"}),
        ("StringSliceTask", {"text": "hello", "start": -3}, {"text": "llo"}),
        ("StringTrimTask", {"text": " \n x "}, {"text": "x"}),
    ],
)
def test_strings(name: str, inputs: dict[str, Any], outputs: dict[str, Any], run: Any) -> None:
    assert run(name, inputs) == outputs


@settings(deadline=None)
@given(st.lists(st.text()))
def test_names_of_any_kind_have_one_order(names: list[str]) -> None:
    ordered = sorted(map(natural_order, names))
    assert all(not after < before for before, after in pairwise(ordered))


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["a10", "a9", "b", "a", "10", "9", "a1b2", "a1b10", "a\u0665"]
    assert sorted(names, key=natural_order) == ["9", "10", "a", "a1b2", "a1b10", "a9", "a10", "a\u0665", "b"]


def test_the_tasks_are_methods_of_a_workflow() -> None:
    workflow = Workflow().string_upper_case().string_trim()
    assert workflow.run_sync({"text": " a "}).outputs == {"text": "A"}
