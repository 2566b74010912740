"""JavaScriptTask: what a script sees and gives."""

from __future__ import annotations

import json
import os
import threading
from importlib import metadata
from typing import Any

import numpy as np
import pytest

from workglow.errors import MissingExtraError, ScriptError, TaskAbortedError, TaskInputError
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.library import javascript as engine
from workglow.library.javascript import evaluate
from workglow.library.scripts import JavaScriptTask
from workglow.tasks import CancelSignal, Entitlement

pytestmark = [pytest.mark.usefixtures("javascript"), pytest.mark.extra("javascript")]


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("1 + 2", 3),
        ("n.map(x => x * 2)", [2, 4]),
        ("const {a} = o; let b = a + 1; ({b, text})", {"b": 2, "text": "é\U0001f600"}),
        ("undefined", None),
        ("null", None),
        ("", None),
        ("'a\\u0000b'", "a\0b"),
        ("new Date(0)", "1970-01-01T00:00:00.000Z"),
        ("o.a = 5; o", {"a": 5}),
        ("var n = 7; n", 7),
        ("(async () => { await null; return 5 })()", 5),
        ("Promise.resolve([1])", [1]),
        ("typeof nothing", "undefined"),
        ("2 ** 53", 2**53),
        ("0.1 + 0.2", 0.1 + 0.2),
    ],
)
def test_the_value_of_the_last_expression_is_the_output(code: str, output: object, run: Any) -> None:
    inputs = {"n": [1, 2], "o": {"a": 1}, "text": "é\U0001f600"}
    assert run("JavaScriptTask", {"javascript_code": code, **inputs}) == {"output": output}
    assert run("JavaScriptTask", inputs, javascript_code=code) == {"output": output}


def test_configured_code_is_no_input_any_more() -> None:
    assert list(JavaScriptTask().inputs) == ["javascript_code"]
    assert list(JavaScriptTask(javascript_code="1").inputs) == []
    assert JavaScriptTask().required_entitlements() == (Entitlement("code:javascript"),)


def test_code_may_come_over_an_edge(run: Any) -> None:
    graph = TaskGraph()
    graph.add_task(JavaScriptTask(javascript_code="'x + ' + 1"), id="write")
    graph.add_task(JavaScriptTask(defaults={"x": 2}), id="run")
    graph.add_dataflow("write", "output", "run", "javascript_code")
    assert run_in_memory_sync(graph, {}).outputs == {"output": 3}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("throw new Error('no luck')", "Error: no luck"),
        ("let a;\nb + 1", r"b is not defined \(at <eval> \(<input>:2:\d\)\)"),
        ("1 +", "SyntaxError"),
        ("throw {a: 1}", "object Object"),
        ("1n", "BigInt"),
        ("[NaN]", "the result holds NaN"),
        ("1 / 0", "the result holds Infinity"),
        ("const a = []; a[0] = a; a", "circular"),
        ("new Promise(() => 0)", "never settled"),
        ("Promise.reject(new Error('late'))", "Error: late"),
        ("\ud800", "failed"),
    ],
)
def test_a_script_that_fails_says_why(code: str, reason: str) -> None:
    with pytest.raises(ScriptError, match=reason):
        evaluate(code)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "is not what JSON has"),
        ({1: 2}, "is not what JSON has"),
        ({"a": [b"x"]}, r"'x.a\[0\]'"),
        (2**53 + 1, "no number that JavaScript holds exactly"),
        (float("nan"), "no number that JavaScript holds exactly"),
    ],
)
def test_an_input_that_javascript_cannot_hold_is_refused(value: object, reason: str) -> None:
    with pytest.raises(TaskInputError, match=reason):
        evaluate("x", {"x": value})


def test_an_input_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(TaskInputError, match="holds itself"):
        evaluate("x", {"x": value})


def test_an_array_is_a_list() -> None:
    assert evaluate("x[1]", {"x": np.array([0.5, 1.5], np.float32)}) == 1.5
    assert evaluate("x + 1", {"x": np.int64(2)}) == 3


def test_nothing_is_left_for_the_next_script() -> None:
    assert evaluate("globalThis.left = 1; Object.prototype.left = 2; Array.prototype.map = 3; left") == 1
    assert evaluate("typeof left + typeof ({}).left + typeof [].map") == "undefinedundefinedfunction"


def test_a_process_is_used_again_and_a_dead_one_replaced() -> None:
    engine._processes.end()
    evaluate("1")
    (first,) = engine._processes._idle
    evaluate("1")
    assert engine._processes._idle == [first]
    first.kill()
    assert evaluate("2") == 2
    assert engine._processes._idle != [first]


def test_scripts_run_side_by_side() -> None:
    results: list[object] = []
    threads = [threading.Thread(target=lambda n=n: results.append(evaluate("n * 2", {"n": n}))) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=str) == sorted((n * 2 for n in range(12)), key=str)
    assert len(engine._processes._idle) <= 4


def test_a_cancelled_script_stops_at_once() -> None:
    signal = CancelSignal()
    timer = threading.Timer(0.2, signal.cancel, ("enough",))
    timer.start()
    with pytest.raises(TaskAbortedError, match="enough"):
        evaluate("while (true);", time_limit=60, signal=signal)
    with pytest.raises(TaskAbortedError, match="enough"):
        evaluate("1", signal=signal)
    assert evaluate("1") == 1


def test_a_signal_that_comes_late_does_not_stop_the_next_script() -> None:
    signal = CancelSignal()
    engine._processes.end()
    assert evaluate("1", signal=signal) == 1
    (process,) = engine._processes._idle
    signal.cancel()
    assert evaluate("1") == 1
    assert engine._processes._idle == [process]


def test_a_forked_process_has_helpers_of_its_own() -> None:
    evaluate("1")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps([evaluate("6 * 7"), len(engine._processes._idle)]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        assert json.loads(pipe.read()) == [42, 1]
    assert evaluate("1") == 1


def test_without_the_right_library_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(engine.metadata, "version", missing)
    engine._engine_folder.cache_clear()
    engine._processes.end()
    with pytest.raises(MissingExtraError, match=r"workglow\[javascript\]"):
        evaluate("1")
