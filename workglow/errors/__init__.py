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
│   ├── BudgetError                a run has taken of models what it may
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
│   │   ├── RateLimitedError       somebody else's limit: "too many requests"
│   │   └── ModelUnavailableError  who runs a model failed in a way that passes
│   │       └── IncompleteStreamError   an answer broke off before its end
│   ├── PermanentJobError          a handler says that no other try can help
│   │   └── ModelCallError         a model was asked for what it will never give
│   │       ├── AuthenticationError
│   │       └── ContextTooLongError
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
│   └── DocumentError
├── ModelError
│   ├── UnknownModelError
│   ├── InvalidModelError          a model's record is wrong
│   ├── UnsupportedCapabilityError   the model cannot do that
│   └── ModelOutputError           what a model gave is of no use
│       ├── TruncatedOutputError   it had no more room
│       └── StructuredOutputError  it does not fit its JSON Schema
├── SourceError                    a file or database outside the project cannot be read or written
│   └── OutsideRootsError          a path leads out of the folders that a task may use
├── CredentialError                a secret is not there, or cannot be opened
├── ScriptError                    a script threw, or gave what JSON has not
├── ResourceLimitError             a script, pattern or query needs more time or memory than it may
└── MissingExtraError              an optional library is not installed
"""

from __future__ import annotations

from workglow.errors.files import (
    EventsLostError,
    FileCorruptError,
    FileError,
    FileFullError,
    FileLockedError,
    FileLostError,
    FileReadOnlyError,
    HalfCopyError,
    NewerFileError,
    NotAProjectError,
)
from workglow.errors.graphs import (
    AutoConnectError,
    CycleError,
    DuplicateDataflowError,
    DuplicateTaskError,
    GraphError,
    GraphFormatError,
    IncompatiblePortsError,
    TaskConfigurationError,
    TaskSerializationError,
    UnknownEntitlementError,
    UnknownPortError,
    UnknownTaskError,
    UnknownTaskTypeError,
)
from workglow.errors.jobs import (
    JobAbortedError,
    JobError,
    JobFailedError,
    JobStateError,
    PermanentJobError,
    ProcessDiedError,
    RateLimitedError,
    RetryableJobError,
    ScheduleError,
    UnknownHandlerError,
    UnknownJobError,
    UnknownLimiterError,
    UnknownScheduleError,
)
from workglow.errors.models import (
    AuthenticationError,
    ContextTooLongError,
    IncompleteStreamError,
    InvalidModelError,
    ModelCallError,
    ModelError,
    ModelOutputError,
    ModelUnavailableError,
    StructuredOutputError,
    TruncatedOutputError,
    UnknownModelError,
    UnsupportedCapabilityError,
)
from workglow.errors.root import (
    WorkglowError,
)
from workglow.errors.runs import (
    BudgetError,
    CodeChangedError,
    GraphTimeoutError,
    InterruptedTaskError,
    LeaseLostError,
    MaxIterationsError,
    QuestionChangedError,
    ResumeError,
    RunError,
    RunStateError,
    TaskAbortedError,
    TaskEntitlementError,
    TaskFailedError,
    TaskTimeoutError,
    UnknownGraphError,
    UnknownRunError,
)
from workglow.errors.sources import (
    CredentialError,
    DocumentError,
    KnowledgeError,
    MissingExtraError,
    OutsideRootsError,
    ResourceLimitError,
    ScriptError,
    SourceError,
)
from workglow.errors.values import (
    AnswerError,
    CorruptValueError,
    InvalidValueError,
    JobInputError,
    PortError,
    TaskInputError,
    TaskOutputError,
    UnstorableValueError,
)

__all__ = [
    "AnswerError",
    "AuthenticationError",
    "AutoConnectError",
    "BudgetError",
    "CodeChangedError",
    "ContextTooLongError",
    "CorruptValueError",
    "CredentialError",
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
    "IncompleteStreamError",
    "InterruptedTaskError",
    "InvalidModelError",
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
    "ModelCallError",
    "ModelError",
    "ModelOutputError",
    "ModelUnavailableError",
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
    "StructuredOutputError",
    "TaskAbortedError",
    "TaskConfigurationError",
    "TaskEntitlementError",
    "TaskFailedError",
    "TaskInputError",
    "TaskOutputError",
    "TaskSerializationError",
    "TaskTimeoutError",
    "TruncatedOutputError",
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
    "UnsupportedCapabilityError",
    "WorkglowError",
]
