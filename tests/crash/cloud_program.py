"""A process that asks a model elsewhere many things: `cloud_program.py COMMAND PROJECT COUNT`.

It makes ready all that a first call has to wait for, says so, and begins when it is sent a line: so it can take over at
once from another that was killed.
"""

from __future__ import annotations

import sys

import workglow as wg
from workglow import Workflow

MODEL = "openai:m"


def build() -> Workflow:
    """Ask the model each of many things."""
    return Workflow().map(Workflow().text_generation(model=MODEL, id="ask"), id="map")


def prompts(count: int) -> dict[str, list[str]]:
    return {"prompt": [f"prompt {number}" for number in range(count)]}


def main() -> None:
    command, path, count = sys.argv[1:]
    import openai

    import workglow.providers.openai  # noqa: F401

    assert openai.AsyncOpenAI(api_key="none").chat.completions  # which is imported when it is first asked for
    assert build().graph
    print("ready", flush=True)
    sys.stdin.readline()
    with wg.open(path) as project:
        if command == "run":
            print(project.run_sync(build(), prompts(int(count)), cache="off").status)
        elif command == "resume":
            print(project.resume_sync(project.runs()[0].id).status)


if __name__ == "__main__":
    main()
