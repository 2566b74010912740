"""Scripts that mean harm: each is stopped in time, with an error of a known type, and the next one runs."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import pytest

from workglow.errors import ResourceLimitError, ScriptError
from workglow.library.javascript import evaluate

pytestmark = [pytest.mark.usefixtures("javascript"), pytest.mark.extra("javascript")]

ENDLESS = {
    "a loop": "while (true);",
    "a loop that catches everything": "for (;;) { try { while (true); } catch (e) {} }",
    "a getter": "({get a() { while (true); }})",
    "toJSON": "({toJSON() { while (true); }})",
    "a proxy": "new Proxy({}, {ownKeys() { while (true); }, get() { while (true); }})",
    "a regular expression": "/(a+)+$/.test('a'.repeat(40) + 'b')",
    "a sort": "[3, 2, 1].sort(() => { while (true); })",
    "promises": "(async () => { while (true) await null; })()",
    "a function made of text": "new Function('while (true);')()",
    "a generator": "[...(function* () { while (true) yield; })()].length",
    "a native loop over holes": "Array(2 ** 31).join('x')",
    "a native search through holes": "Array.prototype.indexOf.call({length: 2 ** 52}, 1)",
    "a native copy of holes": "Array.prototype.reverse.call({length: 2 ** 52})",
    "digits of a large number": "for (;;) (1n << 800000n).toString()",
    "recursion that catches everything": "function f() { try { f(); } catch (e) { f(); } } f()",
}
LARGE = {
    "arrays": "const a = []; while (true) a.push(new Array(1000).fill(1))",
    "a text": "let s = 'x'; while (true) s += s",
    "a repeated text": "'x'.repeat(5e8)",
    "a buffer": "new ArrayBuffer(1e10)",
    "a filled buffer": "new Uint8Array(3e8).fill(1)",
    "a map": "const m = new Map(); for (let i = 0; ; i++) m.set(i, {})",
    "an array of everything": "Array.from({length: 2 ** 30})",
    "promises": "const a = []; (async () => { for (;;) { a.push('x'.repeat(1e6) + a.length); await 0; } })()",
    "a large number": "let x = 2n; while (true) x = x * x",
    "its own result": "const a = 'x'.repeat(1e6); Array(1000).fill(a)",
}
DEEP = {
    "a function": "function f() { f(); } f()",
    "a parser": "eval('('.repeat(1e5) + '1')",
    "JSON": "JSON.parse('['.repeat(1e6))",
    "the result": "let a = 1; for (let i = 0; i < 1e5; i++) a = [a]; a",
    "a result that Python could not read": "let a = 1; for (let i = 0; i < 2500; i++) a = [a]; a",
}
NO_WAY_OUT = [
    "require", "process", "std", "os", "fetch", "XMLHttpRequest", "WebSocket", "setTimeout", "setInterval", "Deno",
    "console", "print", "load", "read", "Worker", "importScripts", "module", "exports", "scriptArgs", "bjson",
]  # fmt: skip


@pytest.mark.timeout(30)
@pytest.mark.parametrize("script", ENDLESS.values(), ids=ENDLESS)
def test_a_script_without_end_is_stopped(script: str) -> None:
    evaluate("1")
    with pytest.raises(ResourceLimitError):
        evaluate(script, time_limit=0.3)
    assert evaluate("1 + 1") == 2


@pytest.mark.parametrize("script", LARGE.values(), ids=LARGE)
def test_a_script_without_measure_is_stopped(script: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((ResourceLimitError, ScriptError)):
        evaluate(script, time_limit=2, memory_limit=16 * 2**20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB, of this process
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1_000_000
    assert evaluate("1 + 1") == 2


@pytest.mark.parametrize("script", DEEP.values(), ids=DEEP)
def test_a_script_without_a_floor_is_stopped(script: str) -> None:
    with pytest.raises((ResourceLimitError, ScriptError)):
        evaluate(script)
    assert evaluate("1 + 1") == 2


@pytest.mark.parametrize("name", NO_WAY_OUT)
def test_a_script_has_the_language_and_nothing_else(name: str) -> None:
    assert evaluate(f"typeof {name}") == "undefined"
    assert evaluate(f"this.constructor.constructor('return typeof {name}')()") == "undefined"


@pytest.mark.parametrize("script", ["import('os')", "import('std')", "import('/etc/passwd')", "import('./a.js')"])
def test_a_script_imports_nothing(script: str) -> None:
    with pytest.raises(ScriptError, match="could not load module"):
        evaluate(script)


@pytest.mark.parametrize(
    "script",
    [
        "JSON.stringify = () => '\"forged\"'; 1",
        "JSON.parse = null; eval = null; Reflect.apply = null; Object.keys = null; 1",
        "Promise = null; Number.isFinite = () => true; TypeError = null; 1",
        "Object.defineProperty(Object.prototype, 'text', {get: () => '\"forged\"', set() { throw 1; }}); 1",
        "Object.defineProperty(Object.prototype, 'settled', {get: () => true, set() {}}); 1",
        "Object.prototype.limit = 'time'; Array.prototype[0] = 'forged'; 1",
        "globalThis.__proto__ = null; 1",
        "Object.freeze(globalThis); 1",
    ],
)
def test_a_script_cannot_forge_what_is_asked_of_it_later(script: str) -> None:
    assert evaluate(script) == 1
    assert evaluate("x", {"x": 3}) == 3


@pytest.mark.parametrize(
    "name", ["__proto__", "constructor", "toString", "JSON", "eval", "Promise", "undefined", "a b"]
)
def test_an_input_may_have_any_name(name: str, run: Any) -> None:
    inputs = {name: {"polluted": 1}, "javascript_code": "[typeof polluted, typeof ({}).polluted]"}
    if name == "undefined":  # a constant of the language
        with pytest.raises(ScriptError, match=r"undefined|redefine|configurable"):
            run("JavaScriptTask", inputs)
    else:
        assert run("JavaScriptTask", inputs)["output"] == ["undefined", "undefined"]


def test_a_graph_cannot_ask_for_unlimited_time() -> None:
    from workglow.errors import GraphFormatError
    from workglow.graph.graph import TaskGraph

    for config in ({"time_limit": 1e9}, {"time_limit": 0}, {"memory_limit": 2**40}):
        item = {"id": "t", "type": "JavaScriptTask", "defaults": {}, "config": config}
        with pytest.raises(GraphFormatError, match="limit"):
            TaskGraph.from_json({"tasks": [item], "dataflows": []})


def test_the_helper_process_dies_with_its_script_when_nobody_waits(tmp_path: Path) -> None:
    """A process that is killed while its script runs leaves no helper behind."""
    started, child = tmp_path / "started", os.fork()
    if child == 0:
        from workglow.library import javascript as engine

        process = engine._Process()
        started.write_text(str(process._process.pid))
        process.ask(b'{"script": "{\\"code\\": \\"Array(2**31).join()\\", \\"inputs\\": {}}",'
                    b' "time_limit": 0.5, "memory_limit": 67108864}')  # fmt: skip
        os._exit(0)
    while not (started.exists() and started.read_text()):
        os.sched_yield()
    os.kill(child, 9)
    os.waitpid(child, 0)
    helper = Path("/proc", started.read_text(), "stat")
    while helper.exists() and helper.read_text().rpartition(")")[2].split()[0] != "Z":
        os.sched_yield()
