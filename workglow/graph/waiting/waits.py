"""The tasks of one run that wait: begun, restored, ended, and when a process has nothing left to do but wait, left.

The policy.  While the process drives the run, a timer stands for each time and deadline, and the file is watched for
answers.  When nothing else is left to do, the option `wait` decides: stay, or leave the run in the file as `waiting`,
driven by nobody.  Whatever ends a wait is decided in the file, by the first row that says so, before the runner acts on
it: so an answer that was accepted is never overtaken by a deadline, and two processes never act on two answers.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from workglow.errors import RunStateError
from workglow.graph.inputs import gather
from workglow.graph.waiting.asking import Asking
from workglow.graph.waiting.conversation import Conversation, Turn, read_turns
from workglow.graph.waiting.wait import Wait, as_answer, read_question, write_wait
from workglow.storage.records import EventRecord
from workglow.values import decode, encode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from workglow.clock import Timer
    from workglow.graph.runner import TaskGraphRunner
    from workglow.graph.schedule import TaskRun
    from workglow.graph.waiting.wait import Question, WaitTask
    from workglow.tasks.answer import Answer

__all__ = ["Waits"]

_LONGEST = 60.0
"""Seconds of a timer: a machine that slept, or whose clock was set, is noticed after so long."""


class Waits:
    """Waits on behalf of the tasks of one run.

    `settle` is told the result or the error of each, once; `broken` what a handler or the file raised, which ends the
    run; `wake` makes the runner's loop look again.
    """

    def __init__(
        self,
        runner: TaskGraphRunner,
        settle: Callable[[TaskRun, object, BaseException | None], None],
        broken: Callable[[BaseException], None],
        wake: Callable[[], object],
    ) -> None:
        self.open: dict[TaskRun, None] = {}
        self.parked = False
        self._runner = runner
        self._settle = settle
        self._broken = broken
        self._wake = wake
        self._environment = runner.environment
        self._for_time: set[TaskRun] = set()
        self._for_jobs: set[TaskRun] = set()
        self._due: dict[TaskRun, None] = {}
        handler = runner.environment.on_question
        self._asking = None if handler is None else Asking(handler, self._heard)
        self._to_ask: dict[TaskRun, Question] = {}  # asked once the question is committed
        self.now = runner.environment.clock.now
        self._news = False  # something may have come since the file was last looked at
        self._watcher: asyncio.Task[None] | None = None
        self._patience: Timer | None = None
        self._out_of_patience = False

    # ------------------------------------------------------------------ beginning

    def begin(self, run: TaskRun) -> None:
        """Let a task wait whose inputs are known."""
        task = cast("WaitTask", run.task)
        inputs, now = run.inputs or {}, self._environment.clock.now()
        try:
            wait = self._limited(task.wait(inputs, now), task.timeout, now)
            question = wait.question
            if question is not None and not question.expects_answer:
                self._tell(run, question)
                return
            self.wait_for(run, wait)
        except Exception as error:
            self._runner.failures.fail(run, error)

    def wait_for(self, run: TaskRun, wait: Wait, turn: int = 1) -> None:
        """Let a task run wait, whoever found out for what."""
        self._check_possible(run, wait)
        run.state, run.blobs = write_wait(wait, f"task '{run.path}'", turn=turn, now=self.now())
        run.status = "waiting"
        run.wake_at = wait.until
        self._hold(run, wait.is_for_time, wait.queue is not None)
        if self._environment.journal is not None:
            self._runner.touch(run)
        question = None if wait.question is None else self._placed(run, wait.question, turn)
        self._runner.emit("task_waiting", run.path, question or wait)
        if question is not None and self._asking is not None:
            self._to_ask[run] = question

    def restore(self, run: TaskRun) -> None:
        """Go on waiting where an earlier process left."""
        question = read_question(run.state or "{}", self._environment.load_value)
        waits_for = decode(run.state or "{}", self._environment.load_value)["waits_for"]
        self._hold(run, waits_for == "time", waits_for == "job")
        if question is not None and self._asking is not None:
            self._to_ask[run] = self._placed(run, question, question.turn)

    @staticmethod
    def _limited(wait: Wait, timeout: float | None, now: int) -> Wait:
        if not timeout or wait.is_for_time:
            return wait
        from msgspec.structs import replace

        ends = now + round(timeout * 1000)
        return replace(wait, until=ends if wait.until is None else min(ends, wait.until))

    def _check_possible(self, run: TaskRun, wait: Wait) -> None:
        environment = self._environment
        if environment.journal is not None or wait.is_for_time:
            return
        if wait.question is None:
            raise RunStateError(
                f"Task '{run.path}' waits for the event '{wait.event}', and this run is kept nowhere, so nobody can "
                "send it.  Run the graph in a project."
            )
        if environment.on_question is None:
            raise RunStateError(
                f"Task '{run.path}' asks a person, and this run is kept nowhere, so nobody can answer.  Run the graph "
                "in a project, or give on_question=, a function that answers."
            )

    def _hold(self, run: TaskRun, for_time: bool, for_job: bool) -> None:
        self.open[run] = None
        if for_job:
            self._for_jobs.add(run)
        if for_time:
            self._for_time.add(run)
        else:
            self._news = True  # the answer may be older than the question's process
        if run.wake_at is not None:
            self._set_timer(run, run.wake_at)

    def _set_timer(self, run: TaskRun, until: int) -> None:
        clock = self._environment.clock
        left = (until - clock.now()) / 1000

        def wake() -> None:
            if clock.now() < until:
                self._set_timer(run, until)
            else:
                run.timer = None
                self._due[run] = None
                self._wake()

        if left > 0:
            run.timer = clock.call_later(min(left, _LONGEST), wake)
        else:
            self._due[run] = None

    # ------------------------------------------------------------------ whoever is asked in this process

    def _placed(self, run: TaskRun, question: Question, turn: int = 1) -> Question:
        from msgspec.structs import replace

        place = {"run": self._environment.run_id, "task": run.path, "deadline": run.wake_at}
        asked = run.started_at or 0 if turn == 1 else question.asked_at or self.now()
        return replace(question, **place, turn=turn, asked_at=asked)

    def _tell(self, run: TaskRun, question: Question) -> None:
        placed = self._placed(run, question)
        self._runner.emit("task_notified", run.path, placed)
        self.open[run] = None
        if self._asking is None:
            self._told(run, question)
        else:
            self._asking.ask(run, placed)

    def _told(self, run: TaskRun, question: Question) -> None:
        environment = self._environment
        if environment.journal is not None:
            data = {"message": question.message, "target": question.target}
            environment.journal.note(EventRecord(environment.clock.now(), run.path, question.kind, data))
        self._end_answered(run, "accept", {})

    def _heard(self, run: TaskRun, question: Question, value: object, error: BaseException | None) -> None:
        self._wake()
        try:
            if error is not None:
                raise error
            if question.expects_answer:
                self._take(run, question, value)
            else:
                self._told(run, question)
        except BaseException as failure:
            self._broken(failure)

    def _take(self, run: TaskRun, question: Question, value: object) -> None:
        environment = self._environment
        if value is None and environment.journal is not None:
            return  # it stays open for somebody else
        if value is None:
            raise RunStateError(f"on_question gave no answer to '{run.path}', and nobody else can.")
        answer = as_answer(question, value)
        journal, waiting = environment.journal, environment.waiting
        if journal is None or waiting is None:
            self._end_answered(run, answer.action, answer.content)
            return
        with suppress(RunStateError):  # somebody else was quicker
            content = encode(answer.content, where=f"the answer to '{run.path}'")
            waiting.answer(journal.run, run.path, run.attempt, answer.action, content, turn=question.turn)
        self._news = True

    # ------------------------------------------------------------------ ending

    async def take_turn(self, idle: bool) -> bool:
        """End the waits that are over; when the loop is idle, perhaps leave.  True when the loop must look again."""
        while self._asking is not None and self._to_ask:
            run = next(iter(self._to_ask))
            self._asking.ask(run, self._to_ask.pop(run))
        if (self._due or self._news) and self._look():
            return True
        if idle and self._is_to_leave():
            journal = self._environment.journal
            assert journal is not None
            self.parked = await journal.park(block=self._environment.alone)
            self._news = True
            return True
        if self._watcher is None and self._environment.journal is not None and len(self._for_time) < len(self.open):
            self._watcher = asyncio.ensure_future(self._watch())
            self._watcher.add_done_callback(self._watched)
        return False

    def _look(self) -> bool:
        due, self._due, self._news = self._due, {}, False
        journal = self._environment.journal
        expired: list[TaskRun] = []
        for run in due:
            if run not in self.open:
                continue
            if journal is None or run in self._for_time:
                self._end_time(run)
            else:
                expired.append(run)
        if journal is None or len(self._for_time) == len(self.open):
            return bool(due)
        arrivals = journal.arrivals([run.row_id for run in expired])
        waiting = {run.row_id: run for run in self.open}
        if self._for_jobs and self._environment.listeners:
            self._runner.placing.tell_progress(waiting, journal.progress())
        for arrival in arrivals:
            run = waiting.get(arrival.row_id)
            if run is None or run not in self.open:
                continue
            if arrival.action == "expired":
                self._end_time(run)
            else:
                content = decode(arrival.content, self._environment.load_value)
                self._end_answered(run, arrival.action, content)
        return bool(due or arrivals)

    def _end_answered(self, run: TaskRun, action: str, content: dict[str, object]) -> None:
        if action == "job":
            self._end_queued(run, content)
        elif run.task.mode != "wait":
            self._tell_body(run, action, content)
        else:
            self._end(run, lambda inputs: cast("WaitTask", run.task).answered(inputs, action, content))

    def _end_time(self, run: TaskRun) -> None:
        until = run.wake_at or 0
        if run.task.mode != "wait":
            self._tell_body(run, "expired", {})
        else:
            self._end(run, lambda inputs: cast("WaitTask", run.task).woken(inputs, until))

    def _end(self, run: TaskRun, outcome: Callable[[dict[str, object]], object]) -> None:
        turn = cast("int", decode(run.state or "{}", self._environment.load_value).get("turn", 1))
        self.forget(run)
        run.status = "running"
        run.wake_at = None
        try:
            if run.inputs is None:  # an earlier process asked
                run.inputs = run.task.check_inputs(gather(run, run.task, self._runner.outputs_of))
            result = outcome(run.inputs)
            if isinstance(result, Wait):
                now = self.now()
                self.wait_for(run, self._limited(result, run.task.timeout, now), turn + 1)
                return
        except Exception as error:
            self._settle(run, None, error)
        else:
            self._settle(run, result, None)

    def _end_queued(self, run: TaskRun, content: dict[str, object]) -> None:
        self.forget(run)
        try:
            self._runner.placing.take(run, content)
        except Exception as error:
            self._settle(run, None, error)

    def forget(self, run: TaskRun) -> None:
        """A task run waits no more."""
        self.open.pop(run, None)
        self._for_time.discard(run)
        self._for_jobs.discard(run)
        self._due.pop(run, None)
        self._to_ask.pop(run, None)
        if self._asking is not None:
            self._asking.stop(run)
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None

    # ------------------------------------------------------------------ what the body of a task asks

    def asker(self, run: TaskRun) -> Callable[..., Awaitable[Answer]] | None:
        """Return what a task asks with in its present attempt; None for one that reads streams."""
        return None if run.task.inputs.streaming else Conversation(run, self).ask

    def turns_of(self, run: TaskRun) -> dict[int, Turn]:
        """What the task asked and was told so far, also in earlier attempts and processes."""
        if run.turns is None:
            waiting = self._environment.waiting
            records = waiting.turns(run.row_id) if waiting is not None and run.row_id else ()
            run.turns = read_turns(records, self._environment.load_value)
        return run.turns

    def ask(self, run: TaskRun, conversation: Conversation, wait: Wait, turn: int) -> None:
        """Let a task wait whose body asks; `conversation` is told the answer, if this process lives to see it."""
        self._runner.pause(run)
        try:
            self.wait_for(run, wait, turn)
        except BaseException:
            self.go_on(run)
            raise
        run.conversation = conversation
        run.key = None  # what a person said is no output of the inputs alone
        self._wake()

    def withdraw(self, run: TaskRun) -> bool:
        """A task whose body asked does not wait any more for the answer; False when it does not wait."""
        if run.conversation is None or run not in self.open:
            return False
        self.forget(run)
        run.conversation = None
        run.status = "running"
        run.wake_at = None
        if self._environment.journal is not None:
            self._runner.touch(run)
        return True

    def go_on(self, run: TaskRun) -> None:
        """A task whose body asked is in flight again."""
        self._runner.go_on(run)
        self._wake()

    def _tell_body(self, run: TaskRun, action: str, content: dict[str, object]) -> None:
        conversation = run.conversation
        if conversation is None:  # an earlier process asked: the body is begun anew, in the same attempt
            self.forget(run)
            run.status, run.wake_at = "pending", None
            run.attempt -= 1
            self._runner.schedule.ready.append(run)
            return
        self.withdraw(run)
        conversation.tell(action, content)
        self.go_on(run)

    # ------------------------------------------------------------------ staying and leaving

    def _is_to_leave(self) -> bool:
        if self._environment.journal is None or self._asking:
            return False
        wait = self._runner.options.wait
        if wait is None:
            return not (self._for_time or self._for_jobs)
        if isinstance(wait, bool):
            return not wait
        if self._patience is None:
            self._patience = self._environment.clock.call_later(wait, self._lose_patience)
        return self._out_of_patience

    def _lose_patience(self) -> None:
        self._out_of_patience = True
        self._wake()

    async def _watch(self) -> None:
        journal = self._environment.journal
        assert journal is not None
        while True:
            change = asyncio.ensure_future(journal.wait_for_change())
            try:
                await asyncio.sleep(0)  # from here on it hears of every change; what came before is looked for now
                self._news = True
                self._wake()
                await change
            finally:
                change.cancel()

    def _watched(self, done: asyncio.Task[None]) -> None:
        if not done.cancelled() and isinstance(error := done.exception(), Exception):
            self._broken(error)

    async def close(self) -> None:
        """Stop watching and asking."""
        for run in tuple(self.open):
            self.forget(run)
        if self._asking is not None:
            await self._asking.close()
        if self._patience is not None:
            self._patience.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait((self._watcher,))
