"""Small models for MediaPipe, each made of a few operations, with the schemas that MediaPipe's wheel brings.

Texts: words have the vectors of wordllama, and a text the sum of its words'; sentiment is a line through them.  Images:
the mean colour is the vector, and decides the class; an object detector has two boxes, the halves of the image.
Languages: the hashes of three letters, counted by MediaPipe's own operation, and how often each language has them.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

_ABSENT = ("mediapipe.tasks.cc", ".metadata", ".python", "._pywrap_metadata_version")
"""A module of MediaPipe's that its wheel left out, and the packages around it; it tells a version, nothing more."""

SIZE = 32


class Graph:
    """A model that is being made: tensors and operations in order."""

    def __init__(self) -> None:
        self.schema: Any = import_module("mediapipe.tasks.metadata.schema_py_generated")
        self._buffers = [self.schema.BufferT()]
        self._tensors: list[Any] = []
        self._codes: list[Any] = []
        self._operators: list[Any] = []

    def tensor(self, name: str, shape: Sequence[int], kind: str = "FLOAT32") -> int:
        one = self.schema.TensorT()
        one.name, one.shape, one.buffer = name.encode(), list(shape), 0
        one.type = getattr(self.schema.TensorType, kind)
        self._tensors.append(one)
        return len(self._tensors) - 1

    def constant(self, values: Any) -> int:
        array = np.ascontiguousarray(values)
        at = self.tensor("constant", array.shape, {"f": "FLOAT32", "i": "INT32"}[array.dtype.kind])
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self._tensors[at].buffer = len(self._buffers)
        self._buffers.append(buffer)
        return at

    def operate(
        self, name: str, inputs: Sequence[int], outputs: Sequence[int], options: str = "", **settings: Any
    ) -> None:
        """Add an operation; one that is not built in has `settings` as a flexible buffer."""
        code, operator = self.schema.OperatorCodeT(), self.schema.OperatorT()
        built_in = getattr(self.schema.BuiltinOperator, name, None)
        code.builtinCode = self.schema.BuiltinOperator.CUSTOM if built_in is None else built_in
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        if built_in is None:
            code.customCode = name.encode()
            operator.customOptions = np.frombuffer(_flexible(settings), np.uint8)
        elif options:
            operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(self.schema, f"{options}T")()
            for key, value in settings.items():
                setattr(operator.builtinOptions, key, value)
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self._codes), list(inputs), list(outputs)
        self._codes.append(code)
        self._operators.append(operator)

    def reduced(self, name: str, given: int, axes: Sequence[int], shape: Sequence[int]) -> int:
        result = self.tensor(name.lower(), shape)
        self.operate(name, (given, self.constant(np.array(axes, "<i4"))), (result,), "ReducerOptions", keepDims=False)
        return result

    def gathered(self, table: Any, ids: int, length: int) -> int:
        result = self.tensor("gathered", (1, length, table.shape[1]))
        self.operate("GATHER", (self.constant(table.astype("<f4")), ids), (result,), "GatherOptions", axis=0)
        return result

    def classified(self, given: int, weights: Any, bias: Any) -> int:
        classes = weights.shape[0]
        logits, scores = self.tensor("logits", (1, classes)), self.tensor("scores", (1, classes))
        inputs = (given, self.constant(weights.astype("<f4")), self.constant(np.asarray(bias, "<f4")))
        self.operate("FULLY_CONNECTED", inputs, (logits,), "FullyConnectedOptions")
        self.operate("SOFTMAX", (logits,), (scores,), "SoftmaxOptions", beta=1.0)
        return scores

    def made(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytearray:
        import flatbuffers

        whole, graph = self.schema.ModelT(), self.schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = b"main", self._tensors, self._operators
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        whole.version, whole.description = 3, b"made for tests"
        whole.subgraphs, whole.operatorCodes, whole.buffers = [graph], self._codes, self._buffers
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(whole.Pack(builder), file_identifier=b"TFL3")
        return bytearray(builder.Output())


def _flexible(settings: dict[str, Any]) -> bytes:
    from flatbuffers import flexbuffers

    builder = flexbuffers.Builder()
    with builder.Map():
        for name, value in settings.items():
            builder.Key(name)
            if isinstance(value, list):
                builder.TypedVectorFromElements(value)
            else:
                builder.Add(value)
    return bytes(builder.Finish())


@contextmanager
def writers() -> Iterator[Any]:
    """Give MediaPipe's writers of metadata."""
    before = dict(sys.modules)
    name = ""
    for part in _ABSENT:
        parent, name = name, name + part
        sys.modules[name] = types.ModuleType(name)
        if parent:
            setattr(sys.modules[parent], part[1:], sys.modules[name])
    sys.modules[name].GetMinimumMetadataParserVersion = lambda _: "1.5.0"  # type: ignore[attr-defined]
    try:
        yield lambda name: import_module(f"mediapipe.tasks.python.metadata.metadata_writers.{name}")
    finally:
        for name in sys.modules.keys() - before.keys():
            del sys.modules[name]


# ---------------------------------------------------------------------- texts

LENGTH = 16
_SPECIAL = ("<PAD>", "<START>", "<UNKNOWN>")


def _tokenizer(writer: Any, words: Sequence[str], folder: Path) -> Any:
    vocabulary = folder / "vocabulary.txt"
    vocabulary.write_text("".join(f"{word} {at}\n" for at, word in enumerate((*_SPECIAL, *words))))
    return writer.RegexTokenizer(delim_regex_pattern=r"[^\w\']+", vocab_file_path=str(vocabulary))


def text_embedder(path: Path, words: Sequence[str], vectors: Any) -> Path:
    table = np.vstack([np.zeros((len(_SPECIAL), vectors.shape[1])), vectors])
    graph = Graph()
    ids = graph.tensor("ids", (1, LENGTH), "INT32")
    total = graph.reduced("SUM", graph.gathered(table, ids, LENGTH), (1,), (1, table.shape[1]))
    with writers() as of:
        writer = of("metadata_writer")
        made = writer.MetadataWriter.create(graph.made((ids,), (total,)))
        made.add_general_info("TextEmbedder", "the sum of its words")
        made.add_regex_text_input(_tokenizer(writer, words, path.parent))
        made.add_feature_output("embedding", "the sum of its words")
        path.write_bytes(made.populate()[0])
    return path


def text_classifier(path: Path, words: Sequence[str], vectors: Any, good: set[str], bad: set[str]) -> Path:
    table = np.vstack([np.zeros((len(_SPECIAL), vectors.shape[1])), vectors])
    middle = [vectors[[word in some for word in words]].mean(0) for some in (bad, good)]
    line = middle[1] - middle[0]
    bias = -float((middle[0] + middle[1]) @ line) / 2 / LENGTH
    graph = Graph()
    ids = graph.tensor("ids", (1, LENGTH), "INT32")
    mean = graph.reduced("MEAN", graph.gathered(table, ids, LENGTH), (1,), (1, table.shape[1]))
    scale = 20.0 * LENGTH / float(line @ line)
    scores = graph.classified(mean, np.stack([-line, line]) * scale, np.array([-bias, bias]) * scale)
    with writers() as of:
        writer = of("metadata_writer")
        made = of("text_classifier").MetadataWriter.create_for_regex_model(
            graph.made((ids,), (scores,)),
            _tokenizer(writer, words, path.parent),
            writer.Labels().add(["negative", "positive"]),
        )
        path.write_bytes(made.populate()[0])
    return path


# ---------------------------------------------------------------------- images


def image_embedder(path: Path) -> Path:
    graph = Graph()
    image = graph.tensor("image", (1, SIZE, SIZE, 3))
    mean = graph.reduced("MEAN", image, (1, 2), (1, 3))
    with writers() as of:
        made = of("metadata_writer").MetadataWriter.create(graph.made((image,), (mean,)))
        made.add_general_info("ImageEmbedder", "the mean colour")
        made.add_image_input([127.5], [127.5])
        made.add_feature_output("embedding", "the mean colour")
        path.write_bytes(made.populate()[0])
    return path


def image_classifier(path: Path) -> Path:
    graph = Graph()
    image = graph.tensor("image", (1, SIZE, SIZE, 3))
    scores = graph.classified(graph.reduced("MEAN", image, (1, 2), (1, 3)), np.eye(3) * 8, np.zeros(3))
    with writers() as of:
        labels = of("metadata_writer").Labels().add(["red", "green", "blue"])
        made = of("image_classifier").MetadataWriter.create(graph.made((image,), (scores,)), [127.5], [127.5], labels)
        path.write_bytes(made.populate()[0])
    return path


def object_detector(path: Path) -> Path:
    graph = Graph()
    image = graph.tensor("image", (1, SIZE, SIZE, 3))
    halves, rows, logits = graph.tensor("halves", (1, 1, 2, 3)), graph.tensor("rows", (2, 3)), graph.tensor("l", (2, 3))
    sure, scores = graph.tensor("sure", (2, 3)), graph.tensor("scores", (1, 2, 3))
    window = {"strideW": SIZE // 2, "strideH": SIZE, "filterWidth": SIZE // 2, "filterHeight": SIZE}
    valid = graph.schema.Padding.VALID
    graph.operate("AVERAGE_POOL_2D", (image,), (halves,), "Pool2DOptions", padding=valid, **window)
    graph.operate(
        "RESHAPE", (halves, graph.constant(np.array([2, 3], "<i4"))), (rows,), "ReshapeOptions", newShape=[2, 3]
    )
    weights = graph.constant(np.array([[0, 0, 0], [8, -4, -4], [-4, -4, 8]], "<f4"))  # nothing, red, blue
    bias = graph.constant(np.array([0, -2, -2], "<f4"))
    graph.operate("FULLY_CONNECTED", (rows, weights, bias), (logits,), "FullyConnectedOptions")
    graph.operate("LOGISTIC", (logits,), (sure,))
    shape = graph.constant(np.array([1, 2, 3], "<i4"))
    graph.operate("RESHAPE", (sure, shape), (scores,), "ReshapeOptions", newShape=[1, 2, 3])
    boxes = graph.constant(np.zeros((1, 2, 4), "<f4"))
    anchors = graph.constant(np.array([[0.5, 0.25, 1, 0.5], [0.5, 0.75, 1, 0.5]], "<f4"))
    outputs = [graph.tensor("location", (1, 2, 4))]
    outputs += [graph.tensor(name, shape) for name, shape in (("category", (1, 2)), ("score", (1, 2)), ("count", (1,)))]
    graph.operate(
        "TFLite_Detection_PostProcess",
        (boxes, scores, anchors),
        outputs,
        max_detections=2,
        max_classes_per_detection=1,
        num_classes=2,
        nms_score_threshold=0.0,
        nms_iou_threshold=0.5,
        x_scale=1.0,
        y_scale=1.0,
        h_scale=1.0,
        w_scale=1.0,
    )
    with writers() as of:
        labels = of("metadata_writer").Labels().add(["red thing", "blue thing"])
        made = of("object_detector").MetadataWriter.create_for_models_with_nms(
            graph.made((image,), outputs), [127.5], [127.5], labels
        )
        path.write_bytes(made.populate()[0])
    return path


# ---------------------------------------------------------------------- languages

HASHES = 512


def _trigrams(graph: Graph, table: Any) -> tuple[int, int]:
    """Add up the rows of a table that the text's trigrams are hashed to; return the text and the sum."""
    text, ids = graph.tensor("text", (1,), "STRING"), graph.tensor("ids", (1, 1, 1), "INT32")
    graph.operate(
        "NGramHash",
        (text,),
        (ids,),
        seed=0,
        ngram_lengths=[3],
        vocab_sizes=[len(table)],
        max_splits=1000,
        lower_case_input=True,
    )
    gathered = graph.tensor("gathered", (1, 1, 1, table.shape[1]))
    graph.operate("GATHER", (graph.constant(table.astype("<f4")), ids), (gathered,), "GatherOptions", axis=0)
    return text, graph.reduced("SUM", gathered, (1, 2), (1, table.shape[1]))


def trigram_counter(path: Path) -> Path:
    """A text embedder: how often each hash of three letters is in a text."""
    graph = Graph()
    text, counts = _trigrams(graph, np.eye(HASHES))
    path.write_bytes(graph.made((text,), (counts,)))
    return path


def language_detector(path: Path, counts: dict[str, Any]) -> Path:
    """Tell languages by how often each hash is in texts of them."""
    seen = np.stack([np.asarray(one) + 0.5 for one in counts.values()])
    graph = Graph()
    text, logits = _trigrams(graph, np.log(seen / seen.sum(1, keepdims=True)).T)
    scores = graph.tensor("scores", (1, len(counts)))
    graph.operate("SOFTMAX", (logits,), (scores,), "SoftmaxOptions", beta=1.0)
    with writers() as of:
        writer = of("metadata_writer")
        made = writer.MetadataWriter.create(graph.made((text,), (scores,)))
        made.add_general_info("LanguageDetector", "the trigrams of languages")
        made.add_feature_input("text", "a text")
        made.add_classification_output(writer.Labels().add(list(counts)))
        path.write_bytes(made.populate()[0])
    return path
