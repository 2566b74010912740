"""Texts that are longer than what a model reads at once: cut up, done piece by piece, and put together.

What the functions return is a graph as anyone could have built it: SplitTextTask cuts, a MapTask does the pieces, and
JoinTextTask puts them together.  So each piece is a task of the run, that is recorded, tried again and resumed by
itself, and the graph can be looked at, stored and changed.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BaseModel, Field

from workglow.ai.task import AiTask, ModelPort, model_port
from workglow.errors import TaskInputError
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.map import MapTask
from workglow.graph.control.while_task import WhileTask
from workglow.graph.graph import TaskGraph
from workglow.tasks import Task, TaskContext, task_registry

if TYPE_CHECKING:
    from workglow.ai.record import ModelRecord

__all__ = ["JoinTextTask", "SplitTextTask", "long_rewrite", "long_summary", "long_translation"]

_CONTEXT: Final = 4096  # of a model whose record does not say
_INSTRUCTIONS: Final = 128  # tokens that the model is told, beside the text
_PASSES: Final = 8  # each makes a text several times shorter


class _SplitInput(BaseModel):
    text: str
    model: Annotated[ModelPort, model_port()]
    size: Annotated[
        int | None, Field(ge=16, description="Tokens of a piece, at most; by default what the model can answer.")
    ] = None


class _Pieces(BaseModel):
    text: list[str]
    gaps: Annotated[list[str], Field(description="The white space between each piece and the next.")]
    count: int


class SplitTextTask(AiTask):
    """Cut a text into pieces that a model can read, and answer as long: at paragraphs, else sentences, else words.

    Tokens are counted as the model counts them.
    """

    title: ClassVar[str] = "Split Text"
    version: ClassVar[str] = "1"
    Input: ClassVar[type[BaseModel] | None] = _SplitInput
    Output: ClassVar[type[BaseModel] | None] = _Pieces

    def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Cut."""
        from workglow.ai.splitting import TextCutter

        text, model = inputs["text"], self.found(inputs["model"], context)
        cutter = TextCutter(inputs["size"] or _room(model.record), count_tokens=model.count_tokens)
        pieces = list(cutter.cut(text)) or [(0, text)]
        ends = [start + len(piece) for start, piece in pieces]
        gaps = [text[end:start] for end, (start, _) in zip(ends[:-1], pieces[1:], strict=True)]
        return {"text": [piece for _, piece in pieces], "gaps": gaps, "count": len(pieces)}


class _JoinInput(BaseModel):
    text: list[str]
    gaps: Annotated[list[str], Field(description="What stands between each piece and the next.")]


class _Whole(BaseModel):
    text: str


class JoinTextTask(Task):
    """Put the pieces of a text together, with what stood between them."""

    title: ClassVar[str] = "Join Text"
    category: ClassVar[str] = "String"
    version: ClassVar[str] = "1"
    inline: ClassVar[bool] = True
    Input: ClassVar[type[BaseModel] | None] = _JoinInput
    Output: ClassVar[type[BaseModel] | None] = _Whole

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Put together."""
        pieces, gaps = inputs["text"], inputs["gaps"]
        if len(gaps) != max(len(pieces) - 1, 0):
            raise TaskInputError(
                f"{self._who}: input 'gaps' has {len(gaps)} for {len(pieces)} pieces; one less is due."
            )
        return {"text": "".join(part for pair in zip(pieces, [*gaps, ""], strict=True) for part in pair)}

    execute_preview = execute


def long_summary(
    model: str | dict[str, Any],
    *,
    length: str = "medium",
    style: str = "text",
    focus: str = "",
    size: int | None = None,
    concurrency: int | None = None,
) -> GraphAsTask:
    """Return a task that summarises a text of any length: `Workflow().then(long_summary("gguf:…"))`.

    The pieces are summarised, and the summaries together as a text, until one piece is left.  `length`, `style` and
    `focus` are those of TextSummaryTask, `size` is that of SplitTextTask, and `concurrency` pieces are done at a time.
    """
    from workglow.ai.summary import TextSummaryTask

    summary = partial(TextSummaryTask, id="summary")
    settings: dict[str, Any] = {"model": model, "length": length, "focus": focus}
    one_pass = _by_pieces(summary(defaults=settings), model, size, concurrency)
    one_pass.name_output("pieces", "split", "count")
    graph = TaskGraph()
    is_too_long: dict[str, Any] = {
        "condition_field": "pieces",
        "condition_operator": "greater_than",
        "condition_value": 1,
    }
    graph.add_task(WhileTask(one_pass, id="condense", max_iterations=_PASSES, on_limit="error", **is_too_long))
    last = "condense"
    if style != "text":
        last = graph.add_task(summary(defaults={**settings, "style": style})).id
        graph.add_dataflow("condense", "text", last, "text")
    graph.name_output("text", last, "text")
    return GraphAsTask(graph, id="long_summary", title="Long Text Summary")


def long_translation(
    model: str | dict[str, Any],
    *,
    target_lang: str,
    source_lang: str | None = None,
    size: int | None = None,
    concurrency: int | None = None,
) -> GraphAsTask:
    """Return a task that translates a text of any length piece by piece; what stood between the pieces stays."""
    from workglow.ai.translation import TextTranslationTask

    languages = {"source_lang": source_lang} if source_lang else {}
    task = TextTranslationTask(id="translation", defaults={"model": model, "target_lang": target_lang, **languages})
    graph = _by_pieces(task, model, size, concurrency)
    return GraphAsTask(graph, id="long_translation", title="Long Text Translation")


def long_rewrite(
    model: str | dict[str, Any], *, prompt: str, size: int | None = None, concurrency: int | None = None
) -> GraphAsTask:
    """Return a task that rewrites a text of any length piece by piece; what stood between the pieces stays."""
    from workglow.ai.rewriting import TextRewriterTask

    task = TextRewriterTask(id="rewriter", defaults={"model": model, "prompt": prompt})
    graph = _by_pieces(task, model, size, concurrency)
    return GraphAsTask(graph, id="long_rewrite", title="Long Text Rewriter")


def _by_pieces(task: AiTask, model: Any, size: int | None, concurrency: int | None) -> TaskGraph:
    """A graph from `text` to `text`: split, map, join."""
    one, graph = TaskGraph(), TaskGraph()
    one.add_task(task)
    one.name_output("text", task.id, "text")
    at_once = {} if concurrency is None else {"concurrency": concurrency}
    graph.add_task(SplitTextTask(id="split", defaults={"model": model, **({"size": size} if size else {})}))
    graph.add_task(MapTask(one, id="map", max_iterations="unbounded", iterate=("text",), **at_once))
    graph.add_task(JoinTextTask(id="join"))
    graph.add_dataflow("split", "text", "map", "text")
    graph.add_dataflow("map", "text", "join", "text")
    graph.add_dataflow("split", "gaps", "join", "gaps")
    graph.name_input("text", "split", "text")
    graph.name_output("text", "join", "text")
    return graph


def _room(record: ModelRecord) -> int:
    """How many tokens of a text leave the model as many to answer with."""
    room = ((record.context_length or _CONTEXT) - _INSTRUCTIONS) // 2
    return max(min(room, record.max_output_tokens or room), 16)


task_registry.register(SplitTextTask)
task_registry.register(JoinTextTask)
