"""The bodies of one run that ask: each waits like any other task, and goes on where it stands when it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.graph.waiting.conversation import Conversation, Turn, read_turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from workglow.graph.runner import TaskGraphRunner
    from workglow.graph.schedule import TaskRun
    from workglow.graph.waiting.wait import Wait
    from workglow.graph.waiting.waits import Waits
    from workglow.tasks.answer import Answer

__all__ = ["Conversations"]


class Conversations:
    """What the bodies of one run's tasks ask, and what they were told."""

    __slots__ = ("_runner", "_waits")

    def __init__(self, runner: TaskGraphRunner, waits: Waits) -> None:
        self._runner = runner
        self._waits = waits

    def asker(self, run: TaskRun) -> Callable[..., Awaitable[Answer]] | None:
        """Return what a task asks with in its present attempt; None for one that reads streams."""
        return None if run.task.inputs.streaming else Conversation(run, self).ask

    def now(self) -> int:
        """The time, in milliseconds."""
        return self._runner.environment.clock.now()

    def turns_of(self, run: TaskRun) -> dict[int, Turn]:
        """What the task asked and was told so far, also in earlier attempts and processes."""
        if run.turns is None:
            environment = self._runner.environment
            waiting = environment.waiting
            records = waiting.turns(run.row_id) if waiting is not None and run.row_id else ()
            run.turns = read_turns(records, environment.load_value)
        return run.turns

    def ask(self, run: TaskRun, conversation: Conversation, wait: Wait, turn: int) -> None:
        """Let a task wait whose body asks; `conversation` is told the answer, if this process lives to see it."""
        self._runner.pause(run)
        try:
            self._waits.wait_for(run, wait, turn)
        except BaseException:
            self.go_on(run)
            raise
        run.conversation = conversation
        run.key = None  # what a person said is no output of the inputs alone
        self._runner.wake()

    def withdraw(self, run: TaskRun) -> bool:
        """A task whose body asked does not wait any more for the answer; False when it does not wait."""
        if run.conversation is None or run not in self._waits.open:
            return False
        self._waits.forget(run)
        run.conversation = None
        run.status = "running"
        run.wake_at = None
        if self._runner.environment.journal is not None:
            self._runner.touch(run)
        return True

    def go_on(self, run: TaskRun) -> None:
        """A task whose body asked is in flight again."""
        self._runner.go_on(run)
        self._runner.wake()

    def tell(self, run: TaskRun, action: str, content: dict[str, object]) -> None:
        """Hand a body what it was told, or that its deadline is over (the action "expired")."""
        conversation = run.conversation
        if conversation is None:  # an earlier process asked: the body is begun anew, in the same attempt
            self._waits.forget(run)
            run.status, run.wake_at = "pending", None
            run.attempt -= 1
            self._runner.schedule.ready.append(run)
            return
        self.withdraw(run)
        conversation.tell(action, content)
        self.go_on(run)
