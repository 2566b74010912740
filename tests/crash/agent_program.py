"""A process that runs or resumes an agent or a chat: `agent_program.py COMMAND PROJECT LEDGER [KILL]`.

KILL is a path, at which the process kills itself in the middle of the work, the first time it gets there.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import workglow as wg
from workglow import TaskContext, Workflow, task
from workglow.ai import Finish, GenerationRequest, ModelEvent, ModelRecord, Provider, TextDelta, ToolCall, UsageReport
from workglow.ai.agent import AgentTask
from workglow.ai.registry import provider_registry
from workglow.library.chat import AiChatTask
from workglow.testing import install_crash_points

LEDGER = ""
DEADLY: list[str] = []


def enter(path: str, attempt: int = 1, key: str = "-", run: str = "-") -> None:
    """Say who begins, and die there if it is the place, the first time."""
    before = Path(LEDGER).read_text().split() if Path(LEDGER).exists() else []
    ledger = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ledger, f"{path} {attempt} {key} {run} {os.getpid()}\n".encode())
    os.close(ledger)
    if path in DEADLY and path not in before:
        os.kill(os.getpid(), signal.SIGKILL)


class Written(Provider):
    """A model that says what the number of its earlier turns tells it to."""

    name = "written"

    async def call_tools(self, model: ModelRecord, request: GenerationRequest) -> AsyncIterator[ModelEvent]:
        turn = sum(message["role"] == "assistant" for message in request.messages)
        yield UsageReport(10, 0)
        yield TextDelta(f"Turn {turn}")
        enter(f"model[{turn}]")
        if turn == 0:
            yield ToolCall("a", "add", {"left": 2, "right": 3})
            yield ToolCall("b", "send", {"text": "hello"})
        elif turn == 1:
            yield ToolCall("c", "add", {"left": "x", "right": 3})
            yield ToolCall("d", "refuse", {})
            yield ToolCall("e", "send", {"text": "bye"})
        yield TextDelta(".")
        yield UsageReport(0, 5)
        yield Finish()

    async def chat(self, model: ModelRecord, request: GenerationRequest) -> AsyncIterator[ModelEvent]:
        turn = sum(message["role"] == "assistant" for message in request.messages)
        yield TextDelta(f"Turn {turn}")
        enter(f"model[{turn}]")
        yield Finish()


@task(output="sum", cache=False)
def add(left: int, right: int, context: TaskContext) -> int:
    """Add two numbers."""
    enter(context.path, context.attempt, context.idempotency_key, context.run_id)
    return left + right


@task(output="receipt", cache=False, side_effects=True)
def send(text: str, context: TaskContext) -> str:
    """Send a text."""
    enter(context.path, context.attempt, context.idempotency_key, context.run_id)
    return f"sent {text}"


@task(output="receipt", cache=False, side_effects=True, on_interrupt="fail")
def send_once(text: str, context: TaskContext) -> str:
    """Send a text."""
    enter(context.path, context.attempt, context.idempotency_key, context.run_id)
    return f"sent {text}"


@task(output="nothing", cache=False, inline=True)
def refuse(context: TaskContext) -> str:
    """Never do anything."""
    enter(context.path, context.attempt, context.idempotency_key, context.run_id)
    raise ValueError("I refuse")


def main() -> None:
    global LEDGER  # the bodies read it
    command, path, LEDGER, *more = sys.argv[1:]
    DEADLY.extend(more)
    provider_registry.register(Written)
    install_crash_points()
    sender = send_once.task_type(id="send") if "once" in command else send
    agent = Workflow().then(AgentTask(id="agent", tools=[add, sender, refuse], max_turns=5))
    chat = Workflow().then(AiChatTask(id="chat"))
    with wg.open(path) as project:
        if command.startswith("agent"):
            print(project.run_sync(agent, {"prompt": "Go", "model": "written:x"}).status)
        elif command == "chat":
            print(project.run_sync(chat, {"prompt": "Go", "model": "written:x"}).status)
        elif command == "answer":
            (question,) = project.questions()
            project.answer(question.run, question.task, more[0] or None)
        else:
            print(project.resume_sync().status)


if __name__ == "__main__":
    main()
