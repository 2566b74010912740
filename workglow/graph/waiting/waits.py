"""The tasks of one run that wait: begun, restored, ended, and when a process has nothing left to do but wait, left.

The policy.  While the process drives the run, a timer stands for each time and deadline, and the file is watched for
answers.  When nothing else is left to do, the option `wait` decides: stay, or leave the run in the file as `waiting`,
driven by nobody.  Whatever ends a wait is decided in the file, by the first row that says so, before the runner acts on
it: so an answer that was accepted is never overtaken by a deadline, and two processes never act on two answers.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from workglow.errors import RunStateError
from workglow.graph.inputs import gather
from workglow.graph.waiting.asking import Asking
from workglow.graph.waiting.conversations import Conversations
from workglow.graph.waiting.staying import Stay
from workglow.graph.waiting.wait import Wait, as_answer, read_question, write_wait
from workglow.storage.records import EventRecord
from workglow.values import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.graph.runner import TaskGraphRunner
    from workglow.graph.schedule import TaskRun
    from workglow.graph.waiting.wait import Question, WaitTask

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
        self.now = runner.environment.clock.now
        self._news = False  # something may have come since the file was last looked at
        self.conversations = Conversations(runner, self)
        self._stay: Stay | None = None

    # ------------------------------------------------------------------ beginning

    def begin(self, run: TaskRun) -> None:
        """Let a task wait whose inputs are known."""
        task = cast("WaitTask", run.task)
        inputs, now = run.inputs or {}, self._environment.clock.now()
        try:
            wait = task.wait(inputs, now).limited(task.timeout, now)
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
            self._asking.ask_later(run, question)

    def restore(self, run: TaskRun) -> None:
        """Go on waiting where an earlier process left."""
        question = read_question(run.state or "{}", self._environment.load_value)
        waits_for = decode(run.state or "{}", self._environment.load_value)["waits_for"]
        self._hold(run, waits_for == "time", waits_for == "job")
        if question is not None and self._asking is not None:
            self._asking.ask_later(run, self._placed(run, question, question.turn))

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
        if self._asking is not None:
            self._asking.ask_now()
        if (self._due or self._news) and self._look():
            return True
        journal = self._environment.journal
        if journal is None:
            return False  # it can neither be left nor answered from elsewhere
        stay = self._stay = self._stay or Stay(self._environment, self._look_again, self._wake, self._broken)
        by_itself = bool(self._for_time or self._for_jobs)
        if idle and not self._asking and stay.is_over(goes_on_by_itself=by_itself):
            self.parked = await journal.park(block=self._environment.alone)
            self._news = True
            return True
        if len(self._for_time) < len(self.open):
            stay.watch(journal)
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
            self.conversations.tell(run, action, content)
        else:
            self._end(run, lambda inputs: cast("WaitTask", run.task).answered(inputs, action, content))

    def _end_time(self, run: TaskRun) -> None:
        until = run.wake_at or 0
        if run.task.mode != "wait":
            self.conversations.tell(run, "expired", {})
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
                self.wait_for(run, result.limited(run.task.timeout, now), turn + 1)
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
        if self._asking is not None:
            self._asking.stop(run)
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None

    def _look_again(self) -> None:
        self._news = True
        self._wake()

    async def close(self) -> None:
        """Stop watching and asking."""
        for run in tuple(self.open):
            self.forget(run)
        if self._asking is not None:
            await self._asking.close()
        if self._stay is not None:
            await self._stay.close()
