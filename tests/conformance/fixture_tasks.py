"""The tasks that the cases are written with, under the names that the cases use.

A number is a `float` port, which takes integers as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from workglow.errors import TaskFailedError
from workglow.tasks import Task, TaskContext


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Nothing(BaseModel):
    pass


class Uncached(Task):
    """The case list's tasks are not cacheable unless it says so."""

    cacheable: ClassVar[bool] = False
    inline: ClassVar[bool] = True


class IO(Uncached):
    type = "TestIOTask"

    class Input(BaseModel):
        key: str = "default"

    class Output(BaseModel):
        previewOnly: bool
        all: bool
        key: str = "default"

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"all": True, "key": "full", "previewOnly": False}

    def execute_preview(self, inputs: Input) -> dict[str, Any]:
        return {"all": False, "key": inputs.key, "previewOnly": True}


class SimpleProcessing(Uncached):
    type = "SimpleProcessingTask"

    class Input(BaseModel):
        value: str = "default"

    class Output(BaseModel):
        processed: bool
        result: str

    def execute(self, inputs: Input, context: TaskContext) -> dict[str, Any]:
        context.progress(0.5)
        return {"processed": True, "result": f"Processed: {inputs.value}"}

    def execute_preview(self, inputs: Input) -> dict[str, Any]:
        return {"processed": False, "result": f"Preview: {inputs.value}"}


class EventTest(Uncached):
    type = "EventTestTask"

    class Config(BaseModel):
        raises: bool = False
        progress: float | None = None
        waits: bool = False

    Input = IO.Input
    Output = IO.Output

    async def execute(self, inputs: Any, context: TaskContext) -> dict[str, Any]:
        context.signal.raise_if_cancelled()
        if self.config["progress"] is not None:
            context.progress(self.config["progress"])
        if self.config["waits"]:
            await asyncio.Event().wait()
        if self.config["raises"]:
            raise TaskFailedError("Test error")
        return {"previewOnly": False, "all": True, "key": "full"}


class Failing(Uncached):
    type = "FailingTask"

    class Input(BaseModel):
        in_: float = Field(default=0, alias="in")

    class Output(BaseModel):
        out: float

    async def execute(self, inputs: Any, context: TaskContext) -> dict[str, Any]:
        await asyncio.sleep(0.005)
        context.signal.raise_if_cancelled()
        raise TaskFailedError("Task failed intentionally")


class LongRunning(Uncached):
    type = "LongRunningTask"
    Input = Nothing
    Output = Nothing

    async def execute(self, inputs: Any, context: TaskContext) -> dict[str, Any]:
        while True:
            context.signal.raise_if_cancelled()
            await asyncio.sleep(0.1)


class _Number(BaseModel):
    input: float


class _Result(BaseModel):
    output: float


class Square(Uncached):
    type = "TestSquareTask"
    Input = _Number
    Output = _Result

    def execute(self, inputs: _Number) -> dict[str, Any]:
        return {"output": inputs.input * inputs.input}

    execute_preview = execute


class Double(Uncached):
    type = "TestDoubleTask"
    Input = _Number
    Output = _Result

    def execute(self, inputs: _Number) -> dict[str, Any]:
        return {"output": inputs.input * 2}


class Add(Uncached):
    type = "TestAddTask"

    class Input(BaseModel):
        a: float
        b: float

    Output = _Result

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"output": inputs.a + inputs.b}


class Tracking(Uncached):
    """Whether it was executed is what its run says."""

    type = "TrackingTask"

    class Input(Open):
        input: Any = None

    class Output(BaseModel):
        executed: bool
        input: Any = None

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"executed": True, "input": inputs.input}


class DoubleToDoubled(Uncached):
    type = "DoubleToDoubledTask"

    class Input(Open):
        value: float

    class Output(BaseModel):
        doubled: float

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"doubled": inputs.value * 2}


class Halve(Uncached):
    type = "HalveTask"
    Input = DoubleToDoubled.Input

    class Output(BaseModel):
        halved: float

    def execute(self, inputs: DoubleToDoubled.Input) -> dict[str, Any]:
        return {"halved": inputs.value / 2}


class DoubleToResult(Uncached):
    type = "DoubleToResultTask"

    class Input(BaseModel):
        value: float = 0

    class Output(BaseModel):
        result: float

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"result": inputs.value * 2}


class ProcessItem(Uncached):
    type = "ProcessItemTask"

    class Input(Open):
        item: float

    class Output(BaseModel):
        processed: float

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"processed": inputs.item * 2}


class Refine(Uncached):
    type = "RefineTask"

    class Input(Open):
        value: float = 0
        quality: float = 0

    class Output(BaseModel):
        quality: float
        value: float

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"quality": min(1, inputs.quality + 0.2), "value": inputs.value + 1}


class GA(Uncached):
    type = "GraphAsTask_TaskA"

    class Input(BaseModel):
        inputA1: str
        inputA2: float = 42

    class Output(BaseModel):
        outputA: str

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"outputA": f"{inputs.inputA1}-{inputs.inputA2:g}"}


class GB(Uncached):
    type = "GraphAsTask_TaskB"

    class Input(BaseModel):
        inputB: str

    class Output(BaseModel):
        outputB: str

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"outputB": f"processed-{inputs.inputB}"}


class GC(Uncached):
    type = "GraphAsTask_TaskC"

    class Input(BaseModel):
        inputC1: str
        inputC2: str = "defaultC2"

    class Output(BaseModel):
        outputC1: str
        outputC2: float

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {
            "outputC1": f"{inputs.inputC1}+{inputs.inputC2}",
            "outputC2": len(inputs.inputC1) + len(inputs.inputC2),
        }


class _NumberOrZero(BaseModel):
    input: float = 0


class Slow(Uncached):
    type = "SlowTask"

    class Config(BaseModel):
        sleep: float = 0.2

    Input = _NumberOrZero
    Output = _Result

    async def execute(self, inputs: _NumberOrZero, context: TaskContext) -> dict[str, Any]:
        for _ in range(round(self.config["sleep"] * 100)):
            context.signal.raise_if_cancelled()
            await asyncio.sleep(0.01)
        return {"output": inputs.input * 2}


class AlwaysFail(Uncached):
    type = "AlwaysFailTask"
    Input = _NumberOrZero
    Output = _Result

    def execute(self, inputs: Any) -> dict[str, Any]:
        raise TaskFailedError("Intentional failure")


class Recovery(Uncached):
    type = "RecoveryTask"
    Input = Open
    Output = _Result

    def execute(self, inputs: Any) -> dict[str, Any]:
        return {"output": -1}


class Inspect(Uncached):
    """Gives what it was given as `received`, beside the 42 of the case list."""

    type = "InspectTask"
    Input = Open

    class Output(BaseModel):
        output: float
        received: dict[str, Any]

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"output": 42, "received": inputs}


class BadRecovery(Uncached):
    type = "BadRecoveryTask"
    Input = Open
    Output = _Result

    def execute(self, inputs: Any) -> dict[str, Any]:
        raise TaskFailedError("Recovery also failed")


class Dbl(Uncached):
    type = "DblTask"
    Input = _NumberOrZero
    Output = _Result

    def execute(self, inputs: _NumberOrZero) -> dict[str, Any]:
        return {"output": inputs.input * 2}


class Text(BaseModel):
    text: str = Field(json_schema_extra={"x-stream": "append"})


class Prompt(BaseModel):
    prompt: str


class StreamAppend(Uncached):
    type = "StreamAppendTask"
    Input = Prompt
    Output = Text

    async def execute_stream(self, inputs: Prompt) -> AsyncIterator[str]:
        for piece in ("Hello", " ", "world"):
            await asyncio.sleep(0)
            yield piece


class HighRate(Uncached):
    type = "HighRateTask"

    class Config(BaseModel):
        chunks: int

    Input = Nothing
    Output = Text

    async def execute_stream(self, inputs: Any) -> AsyncIterator[str]:
        for number in range(self.config["chunks"]):
            yield f"{number}|"


class GraphUpper(Uncached):
    """Gives the text that an edge made of it."""

    type = "GraphUpperTask"

    class Input(BaseModel):
        text: str

    class Output(BaseModel):
        text: str

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"text": inputs.text}
