"""Every error that workglow raises on purpose.  The text says what happened and what to do next.

WorkglowError
├── GraphError                     the graph itself is wrong
│   ├── CycleError
│   ├── DuplicateTaskError
│   ├── DuplicateDataflowError
│   ├── UnknownTaskError           a task id that is not in the graph
│   ├── UnknownPortError
│   ├── IncompatiblePortsError
│   ├── AutoConnectError
│   └── GraphFormatError           JSON that is not a graph
├── TaskConfigurationError
│   ├── UnknownTaskTypeError       a type name that no registry knows
│   ├── UnknownEntitlementError    an entitlement that is nearly a known one
│   └── TaskSerializationError
├── InvalidValueError              a value does not fit where it was given
│   ├── PortError                  one port refused a value; a task turns it into the next two
│   ├── TaskInputError
│   ├── TaskOutputError
│   ├── JobInputError              the input of a job does not fit its handler
│   ├── AnswerError                an answer does not fit the question's schema
│   ├── UnstorableValueError
│   └── CorruptValueError          what the file holds is not what was stored
├── TaskFailedError
│   ├── TaskAbortedError
│   │   └── TaskTimeoutError
│   │       └── GraphTimeoutError
│   └── MaxIterationsError
├── TaskEntitlementError           a task needs what was not granted to the run
├── RunError
│   ├── UnknownGraphError          the file has no graph of that name
│   ├── UnknownRunError
│   ├── RunStateError              that cannot be done to a run in this state
│   ├── CodeChangedError
│   ├── ResumeError                of several runs, some failed or could not go on
│   ├── InterruptedTaskError       a side effect whose outcome nobody knows
│   ├── QuestionChangedError       a task asks something else than what was answered before its restart
│   └── LeaseLostError             another process took the run over
├── JobError
│   ├── UnknownJobError
│   ├── UnknownHandlerError        no worker here knows a handler of that name
│   ├── UnknownLimiterError        a limiter, or a kind of rule, that is not known here
│   ├── JobStateError              that cannot be done to a job in this state
│   ├── ProcessDiedError           the process of a handler ended before its job did
│   ├── JobFailedError             what waiting for the result of a failed job raises
│   │   └── JobAbortedError
│   ├── RetryableJobError          a handler says that, and perhaps when, another try is worth it
│   │   └── RateLimitedError       somebody else's limit: "too many requests"
│   ├── PermanentJobError          a handler says that no other try can help
│   └── ScheduleError              a schedule that can never be due
│       └── UnknownScheduleError
├── EventsLostError                changes that a reader asked for are not kept any more
├── FileError
│   ├── NotAProjectError
│   ├── NewerFileError
│   ├── HalfCopyError
│   ├── FileLockedError
│   ├── FileFullError
│   ├── FileReadOnlyError
│   ├── FileLostError              the open file was deleted, moved or replaced
│   └── FileCorruptError
├── KnowledgeError
│   ├── DocumentError
│   └── UnknownModelError
├── SourceError                    a file or database outside the project cannot be read or written
│   └── OutsideRootsError          a path leads out of the folders that a task may use
├── ScriptError                    a script threw, or gave what JSON has not
├── ResourceLimitError             a script, pattern or query needs more time or memory than it may
└── MissingExtraError              an optional library is not installed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "AnswerError",
    "AutoConnectError",
    "CodeChangedError",
    "CorruptValueError",
    "CycleError",
    "DocumentError",
    "DuplicateDataflowError",
    "DuplicateTaskError",
    "EventsLostError",
    "FileCorruptError",
    "FileError",
    "FileFullError",
    "FileLockedError",
    "FileLostError",
    "FileReadOnlyError",
    "GraphError",
    "GraphFormatError",
    "GraphTimeoutError",
    "HalfCopyError",
    "IncompatiblePortsError",
    "InterruptedTaskError",
    "InvalidValueError",
    "JobAbortedError",
    "JobError",
    "JobFailedError",
    "JobInputError",
    "JobStateError",
    "KnowledgeError",
    "LeaseLostError",
    "MaxIterationsError",
    "MissingExtraError",
    "NewerFileError",
    "NotAProjectError",
    "OutsideRootsError",
    "PermanentJobError",
    "PortError",
    "ProcessDiedError",
    "QuestionChangedError",
    "RateLimitedError",
    "ResourceLimitError",
    "ResumeError",
    "RetryableJobError",
    "RunError",
    "RunStateError",
    "ScheduleError",
    "ScriptError",
    "SourceError",
    "TaskAbortedError",
    "TaskConfigurationError",
    "TaskEntitlementError",
    "TaskFailedError",
    "TaskInputError",
    "TaskOutputError",
    "TaskSerializationError",
    "TaskTimeoutError",
    "UnknownEntitlementError",
    "UnknownGraphError",
    "UnknownHandlerError",
    "UnknownJobError",
    "UnknownLimiterError",
    "UnknownModelError",
    "UnknownPortError",
    "UnknownRunError",
    "UnknownScheduleError",
    "UnknownTaskError",
    "UnknownTaskTypeError",
    "UnstorableValueError",
    "WorkglowError",
]


class WorkglowError(Exception):
    """The root: `except WorkglowError` catches everything that workglow raises on purpose.

    `run` is the run that ended with this error, when there is one.
    """

    run: object | None = None


class GraphError(WorkglowError):
    """The graph is not one that can run."""


class CycleError(GraphError):
    """An edge would make a task wait for itself."""


class DuplicateTaskError(GraphError):
    """Two tasks of one graph have the same id."""


class DuplicateDataflowError(GraphError):
    """An edge exists already, or the port it enters has an edge and does not collect."""


class UnknownTaskError(GraphError):
    """A task id that is not in the graph."""


class UnknownPortError(GraphError):
    """A port that the task does not have."""


class IncompatiblePortsError(GraphError):
    """What the source port gives can never fit the target port."""


class AutoConnectError(GraphError):
    """The builder found no edge, or several equally good ones, for a required input."""


class GraphFormatError(GraphError):
    """The JSON is not a graph; the text gives the place."""


class TaskConfigurationError(WorkglowError):
    """A task was defined or configured in a way that can never run."""


class UnknownTaskTypeError(TaskConfigurationError):
    """A task type that is not registered."""


class UnknownEntitlementError(TaskConfigurationError):
    """What was granted or denied is no entitlement that any task asks for, and looks like a slip of one."""


class TaskSerializationError(TaskConfigurationError):
    """A task holds code or objects, so it cannot be written as JSON."""


class InvalidValueError(WorkglowError):
    """A value does not fit the place it was given for."""


class PortError(InvalidValueError):
    """One port refused a value: `port` is its name, `reason` says why."""

    def __init__(self, port: str, reason: str) -> None:
        super().__init__(f"{port!r} {reason}")
        self.port = port
        self.reason = reason


class TaskInputError(InvalidValueError):
    """An input is missing, unknown, or of the wrong type; the text names task, port and reason."""


class TaskOutputError(InvalidValueError):
    """A task returned something that its own output ports do not allow."""


class JobInputError(InvalidValueError):
    """The input of a job does not fit its handler."""


class AnswerError(InvalidValueError):
    """An answer that does not fit the question's schema; it was not kept."""


class UnstorableValueError(InvalidValueError):
    """A value that the file cannot hold; the text names the port and the remedy."""


class CorruptValueError(InvalidValueError):
    """A stored value fails its content hash, or cannot be decoded."""


class TaskFailedError(WorkglowError):
    """A task raised.  The original exception is the `__cause__`; `task` is the task's path."""

    task: str | None = None


class TaskAbortedError(TaskFailedError):
    """A task or run was told to stop."""


class TaskTimeoutError(TaskAbortedError):
    """A task took longer than its timeout."""


class GraphTimeoutError(TaskTimeoutError):
    """A whole graph took longer than its timeout."""


class MaxIterationsError(TaskFailedError):
    """A loop was given more items than its `max_iterations` allows."""


class TaskEntitlementError(WorkglowError):
    """Tasks need what was not granted to the run; the text says which, what for, and how to grant it.

    `missing` holds an EntitlementRequest for each.
    """

    missing: tuple[object, ...] = ()


class RunError(WorkglowError):
    """Something about a stored run."""


class UnknownRunError(RunError):
    """The file has no run with that id."""


class UnknownGraphError(RunError):
    """The file has no graph of that name."""


class RunStateError(RunError):
    """The run is in a state that does not allow this."""


class CodeChangedError(RunError):
    """Tasks changed since the run began; the text names them and the choices."""


class ResumeError(RunError):
    """Of several runs that were resumed, some failed or could not go on; all of them had their turn.

    `runs` are those that went on without an error; `errors` maps the ids of the others to what each raised.
    """

    def __init__(self, runs: Sequence[object], errors: Mapping[str, Exception]) -> None:
        self.runs = list(runs)
        self.errors = dict(errors)
        said = "".join(f"\n  {uid}: {type(error).__name__}: {error}" for uid, error in self.errors.items())
        super().__init__(
            f"{len(self.errors)} of {len(self.runs) + len(self.errors)} runs failed or did not go on:{said}"
        )


class InterruptedTaskError(RunError):
    """A task with side effects was in flight at a crash, and its policy forbids a silent repeat."""


class QuestionChangedError(RunError):
    """A task that is begun anew asks something else than what was answered in that turn before."""


class LeaseLostError(RunError):
    """Another process took the run over; nothing more is written by this one."""


class JobError(WorkglowError):
    """Something about a job or its queue."""


class UnknownJobError(JobError):
    """No job of the file has that number."""


class UnknownHandlerError(JobError):
    """No handler of that name is registered."""


class UnknownLimiterError(JobError):
    """The file has no limiter of that name, or one whose kind no registry here knows; the text says which."""


class JobStateError(JobError):
    """That cannot be done to a job in this state."""


class JobFailedError(JobError):
    """A job ended without a result; `job` is its number, `type` and `trace` are those of what its handler raised."""

    def __init__(self, message: str, *, job: int = 0, type: str = "", trace: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.job = job
        self.type = type
        self.trace = tuple(trace)


class JobAbortedError(JobFailedError):
    """A job was aborted before it had a result."""


class ProcessDiedError(JobError):
    """The process of an `executor="process"` handler ended, or was killed, before its job had a result."""


class RetryableJobError(JobError):
    """Raise it in a handler when another try is worth it; `after` is how many seconds to wait before.

    Without `after` the job's retry policy decides.  When the attempts are used up, the job fails with this.  With
    `counts=False` the attempt is not counted, for a job that could not begin.
    """

    def __init__(self, message: str = "", *, after: float | None = None, counts: bool = True) -> None:
        super().__init__(message)
        self.after = after
        self.counts = counts


class RateLimitedError(RetryableJobError):
    """Raise it when a service says "too many requests" (429): nothing is wrong with the job, it only came too early.

    `retry_after` is how many seconds the service asks to wait; None: it did not say.  `limits` is what it told of its
    limits, name → {"remaining", "reset"}.  In a job, or inside the slot of a limiter, this holds the limiters up for
    every process; the job is tried again after that, and no attempt is counted.
    """

    def __init__(
        self,
        message: str = "Too many requests.",
        *,
        retry_after: float | None = None,
        limits: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        super().__init__(message, after=retry_after)
        self.retry_after = retry_after
        self.limits = dict(limits or {})


class PermanentJobError(JobError):
    """Raise it in a handler when no other try can help: the job fails at once."""


class ScheduleError(JobError):
    """A schedule that can never be due: its expression, its time zone or its interval means nothing."""


class UnknownScheduleError(ScheduleError):
    """The file has no schedule of that name."""


class EventsLostError(WorkglowError):
    """Changes that a reader asked for are not kept any more; it can go on from number `first`, None: none are kept."""

    def __init__(self, message: str, *, first: int | None) -> None:
        super().__init__(message)
        self.first = first


class FileError(WorkglowError):
    """Something about the project file."""


class NotAProjectError(FileError):
    """The file is not a workglow project."""


class NewerFileError(FileError):
    """The file was written by a newer workglow; it was not touched."""


class HalfCopyError(FileError):
    """The file was copied while in use, without what its write-ahead log held."""


class FileLockedError(FileError):
    """Another process, or another thread of this one (`here`), held the file's write lock for too long."""

    here = False


class FileFullError(FileError):
    """The disk is full; everything committed before is safe."""


class FileReadOnlyError(FileError):
    """The file or its folder cannot be written."""


class FileLostError(FileError):
    """The file was deleted, moved away or replaced while it was open; nothing more is written to it."""


class FileCorruptError(FileError):
    """SQLite found the file damaged."""


class KnowledgeError(WorkglowError):
    """Something about documents and search."""


class DocumentError(KnowledgeError):
    """A document cannot be read; the text names it and the reason."""


class UnknownModelError(KnowledgeError):
    """No provider knows the model's name."""


class SourceError(WorkglowError):
    """A file or database outside the project cannot be read or written; the text names it and the reason."""


class OutsideRootsError(SourceError):
    """A path leads out of the folders that a task may use, by `..`, a symbolic link, or plainly."""


class ScriptError(WorkglowError):
    """A script threw, or gave what JSON has not."""


class ResourceLimitError(WorkglowError):
    """A script, a pattern or a query needs more time or memory than it may."""


class MissingExtraError(WorkglowError):
    """An optional library is needed; the text says which extra brings it."""
