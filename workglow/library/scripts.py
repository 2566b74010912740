"""JavaScriptTask: a small script of the graph's author, run where it can do no harm."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from workglow.library.javascript import MEMORY_LIMIT, TIME_LIMIT, evaluate
from workglow.tasks import Entitlement, Port, Ports, Task, TaskContext

__all__ = ["JavaScriptTask"]

_CODE: dict[str, Any] = {
    "type": "string",
    "title": "Code",
    "description": "The script; the value of its last expression is the output.",
    "format": "code:javascript",
}
_GIVEN = Ports([Port("javascript_code", str, schema=_CODE)], open=True)
_CONFIGURED = Ports(open=True)


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    javascript_code: str | None = Field(default=None, description="The script, when it is no input.")
    time_limit: float = Field(default=TIME_LIMIT, gt=0, le=300, description="Seconds that it may take.")
    memory_limit: int = Field(default=MEMORY_LIMIT, ge=2**20, le=2**30, description="Bytes that it may use.")


class _Output(BaseModel):
    output: Any = Field(title="Output", description="The value of the script's last expression.")


class JavaScriptTask(Task):
    """Run a script that sees the other inputs as global variables; the value of its last expression is the output.

    It has the language and nothing else: no files, no network, no modules.  Inputs and output are what JSON has.
    """

    type: ClassVar[str] = "JavaScriptTask"
    title: ClassVar[str] = "JavaScript"
    category: ClassVar[str] = "Utility"
    version: ClassVar[str] = "1"
    entitlements: ClassVar[tuple[str | Entitlement, ...]] = ("code:javascript",)
    Config: ClassVar[type[BaseModel] | None] = _Config
    Output: ClassVar[type[BaseModel] | None] = _Output

    @property
    def inputs(self) -> Ports:
        """The code, unless it is configured, and anything else."""
        return _GIVEN if self.config["javascript_code"] is None else _CONFIGURED

    def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Evaluate the script."""
        variables = dict(inputs)
        configured: str | None = self.config["javascript_code"]
        code = variables.pop("javascript_code") if configured is None else configured
        time_limit, memory_limit = self.config["time_limit"], self.config["memory_limit"]
        value = evaluate(code, variables, time_limit=time_limit, memory_limit=memory_limit, signal=context.signal)
        return {"output": value}
