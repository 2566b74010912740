"""A process that runs, answers or resumes a graph that asks: `waiting_program.py COMMAND PROJECT LEDGER [MORE]`."""

from __future__ import annotations

import os
import sys

import workglow as wg
from workglow import HumanApprovalTask, TaskContext, Workflow, task
from workglow.errors import RunStateError
from workglow.testing import install_crash_points

LEDGER = ""


def enter(context: TaskContext) -> None:
    """Say who begins: path, attempt, key, run and process."""
    line = f"{context.path} {context.attempt} {context.idempotency_key} {context.run_id} {os.getpid()}\n"
    ledger = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ledger, line.encode())
    os.close(ledger)


@task(output="text", cache=False, inline=True)
def draft(topic: str, context: TaskContext) -> str:
    enter(context)
    return f"about {topic}"


@task(output="url", cache=False, side_effects=True)
def publish(text: str, context: TaskContext) -> str:
    enter(context)
    return f"https://{text}"


def build() -> Workflow:
    """A loop whose items ask, between a task before and one behind the question."""
    approve = HumanApprovalTask(id="approve", message="Publish?")
    body = Workflow().then(draft, id="draft").then(approve).then(publish, id="publish")
    return Workflow().map(body, id="map", max_iterations=9)


@task(output="text", cache=False)
async def interview(text: str, context: TaskContext) -> str:
    enter(context)
    return " ".join([(await context.ask(f"{number}. {text}?")).content["answer"] for number in range(3)])


def build_talk() -> Workflow:
    """A task that asks three times, between one before and one behind it."""
    return Workflow().then(draft, id="draft").then(interview, id="talk").then(publish, id="publish")


def main() -> None:
    global LEDGER  # the task bodies read it
    command, path, LEDGER, *more = sys.argv[1:]
    with wg.open(path) as project:
        if command == "run":
            install_crash_points()
            print(project.run_sync(build(), {"topic": ["bees", "ants"]}).status)
        elif command == "talk":
            install_crash_points()
            print(project.run_sync(build_talk(), {"topic": "bees"}).status)
        elif command == "say":
            for question in project.questions():
                project.answer(question.run, question.task, more[0] + question.message[0], turn=question.turn)
                print(question.message[0])
        elif command == "stay":
            print(project.run_sync(build(), {"topic": ["bees", "ants"]}, wait=True).status)
        elif command == "resume":
            install_crash_points()
            print(project.resume_sync().status)
        elif command == "answer":
            number, said = more
            try:
                project.answer(project.runs()[-1].id, f"map[{number}]/approve", said == "yes")
            except RunStateError as error:
                print("refused", error)
            else:
                print("kept")


if __name__ == "__main__":
    main()
