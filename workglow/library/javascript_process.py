"""The program of the helper process that runs JavaScript.  `javascript` starts it; nothing imports it.

It reads requests from standard input and writes answers to standard output, each with its length in front, and ends
when its input does.  The engine watches its memory and, between two steps of a script, the time; but some of its own
functions (joining an array of two thousand million holes) run for minutes without looking.  So an alarm ends the whole
process a little later, whatever it is doing and whether or not anybody waits for it.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from importlib import import_module
from time import monotonic
from typing import Any

_GRACE = 0.25
"""Seconds between the engine's own limit, which lets the process live, and the alarm."""

_ROOM = 512 * 1024 * 1024
"""Bytes of address space for Python and the engine, besides what a script may use."""

# What runs after the script uses only what was taken before it, for the script may have replaced everything else.
_HARNESS = """(() => {
  const {parse, stringify} = JSON, {defineProperty, keys} = Object, {apply} = Reflect;
  const everywhere = eval, isFinite = Number.isFinite, Later = Promise, then = Promise.prototype.then;
  const Refusal = TypeError, done = {text: undefined, error: undefined, settled: false};
  const check = (_, value) => {
    if (typeof value === 'number' && !isFinite(value)) throw new Refusal(`the result holds ${value}`);
    return value;
  };
  const finish = (value) => { done.text = stringify(value, check) ?? 'null'; done.settled = true; };
  const fail = (error) => { done.error = error; done.settled = true; };
  const rethrow = () => { if (done.text === undefined) throw done.error; return done.text; };
  const start = (request) => {
    const {code, inputs} = parse(request);
    for (const name of keys(inputs))
      defineProperty(globalThis, name, {value: inputs[name], writable: true, enumerable: true, configurable: true});
    const value = everywhere(code);
    if (!(value instanceof Later)) finish(value);
    else apply(then, apply(then, value, [finish]), [undefined, fail]);
  };
  return (step, request) => step === 'start' ? start(request) : step === 'settled' ? done.settled : rethrow();
})()"""


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program that started this one
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))
    while len(size := sys.stdin.buffer.read(4)) == 4:
        request: dict[str, Any] = json.loads(sys.stdin.buffer.read(int.from_bytes(size)))
        signal.setitimer(signal.ITIMER_REAL, request["time_limit"] + _GRACE)
        answer = json.dumps(_answer(request)).encode()
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.buffer.write(len(answer).to_bytes(4) + answer)
        sys.stdout.buffer.flush()


def _answer(request: dict[str, Any]) -> dict[str, str]:
    quickjs: Any = import_module("quickjs")
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_ROOM + 4 * request["memory_limit"], most))
    try:
        return {"result": _run(request)}
    except quickjs.StackOverflow:
        return {"limit": "depth"}
    except quickjs.JSException as error:
        return _explained(str(error))
    except MemoryError:
        return {"limit": "memory"}
    except TimeoutError:
        return {"limit": "time"}
    except ValueError as error:  # text that UTF-8 cannot hold
        return {"error": str(error)}


def _run(request: dict[str, Any]) -> str:
    quickjs: Any = import_module("quickjs")
    context = quickjs.Context()
    context.set_memory_limit(request["memory_limit"])
    context.set_time_limit(request["time_limit"])
    deadline = monotonic() + request["time_limit"]
    step = context.eval(_HARNESS)
    step("start", request["script"])
    while not step("settled"):
        if monotonic() > deadline:
            raise TimeoutError
        if not context.execute_pending_job():
            return _never()
    return step("result")


def _never() -> str:
    raise ValueError("Error: the promise that the script gave is never settled")


def _explained(message: str) -> dict[str, str]:
    first, _, place = message.partition("\n")
    if first == "InternalError: interrupted":
        return {"limit": "time"}
    # Without memory for an error to throw, the engine throws null.
    if first in ("InternalError: out of memory", "null", "[uninitialized]"):
        return {"limit": "memory"}
    where = place.strip().partition("\n")[0][:200]
    return {"error": first[:2000], "place": where if where.startswith("at ") else ""}


if __name__ == "__main__":
    sys.path.append(sys.argv[1])
    main()
