"""Job queues in the project file: handlers, jobs, and the workers that run them.  They know nothing of graphs."""

from __future__ import annotations

from workglow.queue.context import JobContext, Progress
from workglow.queue.events import JobEvent
from workglow.queue.handler import Handler, HandlerRegistry, handler_registry, job
from workglow.queue.job_handle import Job
from workglow.queue.job_queue import JobQueue
from workglow.queue.overview import QueueInfo, WorkerInfo
from workglow.queue.queues import Queues
from workglow.queue.settings import QueueSettings
from workglow.queue.worker import Worker

__all__ = [
    "Handler",
    "HandlerRegistry",
    "Job",
    "JobContext",
    "JobEvent",
    "JobQueue",
    "Progress",
    "QueueInfo",
    "QueueSettings",
    "Queues",
    "Worker",
    "WorkerInfo",
    "handler_registry",
    "job",
]
