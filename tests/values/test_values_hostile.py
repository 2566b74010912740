"""Whatever a stranger's file holds, reading it ends in values or in a CorruptValueError, and imports nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.errors import CorruptValueError
from workglow.values import ValueTypes, decode, encode
from workglow.values import blob as blob_module
from workglow.values.tags import READ

types = ValueTypes()


@types.register
@dataclasses.dataclass
class Person:
    name: str


@types.register
class Note(msgspec.Struct):
    body: str


@types.register
class Model(pydantic.BaseModel):
    name: str


@types.register
class Color(enum.Enum):
    RED = 1


@types.register
class Rights(enum.Flag):
    READ = 1


TAGS = [*READ, "$value", "$array", "$scalar", "$enum", "$object", "$image", "$unknown", "$"]
HASH = "ab" * 32


def read(payload: object, rows: Any = ()) -> Any:
    return decode(json.dumps({"port": payload}), dict(rows).__getitem__, types=types)["port"]


@pytest.mark.parametrize(
    "payload",
    [
        {"$unknown": 1},
        {"$image": "x"},
        {"$float": "1"},
        {"$float": 1},
        {"$int": "12"},
        {"$int": 5},
        {"$bytes": "a"},
        {"$bytes": "YQ==YQ=="},
        {"$bytes": 5},
        {"$array": ["<f4", [2], "AAAA"]},
        {"$array": ["<f4", [1], "AAAAAAAAAAA="]},
        {"$array": ["|O8", [1], "AAAAAAAAAAA="]},
        {"$array": ["O", [1], "AAAAAAAAAAA="]},
        {"$array": ["<f4,<f4", [1], "AAAAAAAAAAA="]},
        {"$array": ["<f4", [-1, -1], "AAAAAA=="]},
        {"$array": ["<f4", [1.0], "AAAAAA=="]},
        {"$array": ["<f4", [True], "AAAAAA=="]},
        {"$array": ["<f4", [0, 2**62, 2**62], ""]},
        {"$array": ["<f4", [1] * 100, "AAAAAA=="]},
        {"$array": ["<U1", [1], "////fw=="]},
        {"$array": ["<f4", [1]]},
        {"$array": ["<M8[1x]", [1], "AAAAAAAAAAA="]},
        {"$array": ["<M8[0s]", [1], "AAAAAAAAAAA="]},
        {"$scalar": ["|i1", 1000]},
        {"$scalar": ["<f4", "1"]},
        {"$scalar": ["<f4", 1e300]},
        {"$scalar": ["O", 1]},
        {"$scalar": ["<c8", "AAAA"]},
        {"$datetime": "yesterday"},
        {"$datetime": "2024-01-01T00:00:00+00:00[../../etc/passwd]"},
        {"$datetime": "2024-01-01T00:00:00+00:00[Not/Azone]"},
        {"$datetime": "0001-01-01T00:00:00+23:00[Europe/Berlin]"},
        {"$datetime": 5},
        {"$date": "2024-13-01"},
        {"$time": "25:00"},
        {"$timedelta": [10**12, 0, 0]},
        {"$timedelta": [0.5, 0, 0]},
        {"$decimal": "one"},
        {"$decimal": "1e99999999999999999999"},
        {"$decimal": 1},
        {"$uuid": "x"},
        {"$uuid": 5},
        {"$path": 5},
        {"$tuple": "abc"},
        {"$set": [[]]},
        {"$frozenset": [{"a": 1}]},
        {"$dict": [[[], 1]]},
        {"$dict": [[1]]},
        {"$dict": {"a": 1}},
        {"$enum": ["Color", "GREEN"]},
        {"$enum": ["Color", []]},
        {"$enum": ["Rights", 1024]},
        {"$enum": ["Rights", True]},
        {"$enum": ["Person", "name"]},
        {"$object": ["Color", {}]},
        {"$object": ["Person", {}]},
        {"$object": ["Person", {"name": "a", "age": 3}]},
        {"$object": ["Person", []]},
        {"$object": ["Person"]},
        {"$object": [["Person"], {}]},
        {"$object": ["Note", {}]},
        {"$object": ["Note", {"body": "a", "more": 1}]},
        {"$object": ["Model", {}]},
        {"$object": ["Model", {"name": "a", "more": 1}]},
        {"$object": ["Person", {"$dict": [[1, 2]]}]},
        {"$tuple": [1], "b": 2},
        {"a": 2, "$tuple": [1]},
        {"$value": HASH},
        [{"a": ({"$value": None})}],
    ],
)
def test_what_was_never_written_is_called_corrupt(payload: object) -> None:
    with pytest.raises(CorruptValueError, match=r"cannot be read: .+ `workglow doctor`"):
        read(payload)


@pytest.mark.parametrize(
    "row",
    [
        ("text", "raw", b"\xff"),
        ("text", "zlib", b"\xff"),
        ("text", "zlib", zlib.compress(b"x" * 5000)[:-5]),
        ("text", "zlib", zlib.compress(b"x" * 5000) + b"more"),
        ("text", "lzma", b""),
        ("json", "raw", b"{"),
        ("json", "raw", b"\xff"),
        ("json", "raw", b'{"$value":"' + HASH.encode() + b'"}'),
        ("array <f4 3", "raw", b"12345"),
        ("array <f4 3,", "raw", b"12345"),
        ("array <f4 3 4", "raw", b"12345"),
        ("array |O 1", "raw", b"12345678"),
        ("array ", "raw", b""),
        ("image png", "raw", b"\x89PNG\r\n\x1a\n"),
        ("image png", "raw", b"GIF89a"),
        ("image gif", "raw", b"GIF89a"),
        ("pickle", "raw", b"cos\nsystem\n."),
    ],
)
def test_a_damaged_row_is_called_corrupt_and_named(row: tuple[str, str, bytes]) -> None:
    with pytest.raises(CorruptValueError, match=f"The value {HASH} cannot be read: .+ `workglow doctor`"):
        read({"$value": HASH}, {bytes.fromhex(HASH): row})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '{"a":NaN}', '{"a":1e999}', '{"a":1} x', '{"a":"\\ud800"}', "\ud800", "9" * 5000],
)
def test_text_that_is_no_object_is_called_corrupt(text: str) -> None:
    with pytest.raises(CorruptValueError, match="The stored JSON cannot be read"):
        decode(text, {}.__getitem__)


@pytest.mark.parametrize(
    ("start", "end"), [("[", "]"), ('{"a":', "}"), ('{"$tuple":[', "]}"), ('{"$dict":[[1,', "]]}"), ('{"$set":[', "]}")]
)
def test_endless_nesting_is_called_corrupt(start: str, end: str) -> None:
    for depth in (300, 900, 100_000):
        text = '{"port":' + start * depth + "1" + end * depth + "}"
        try:
            decode(text, {}.__getitem__)
        except CorruptValueError:
            continue
        assert depth < 100_000


def test_compressed_data_that_unfolds_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob_module.unpack, "__defaults__", (100_000,))
    rows = {bytes.fromhex(HASH): ("text", "zlib", zlib.compress(bytes(10_000_000)))}
    with pytest.raises(CorruptValueError, match="larger than 100000 bytes"):
        read({"$value": HASH}, rows)


def test_an_unregistered_class_is_named_with_the_remedy() -> None:
    with pytest.raises(CorruptValueError, match=r"class 'os\.system' .* not registered it: call .*name='os\.system'"):
        read({"$object": ["os.system", {"command": "true"}]})


@pytest.mark.parametrize("known", [HASH.upper(), " ".join([HASH[:2]] * 32), HASH[2:], [HASH], "xy" * 32, None])
def test_a_reference_is_one_hash_in_one_spelling(known: object) -> None:
    with pytest.raises(CorruptValueError, match="A '\\$value' tag cannot be read"):
        decode(json.dumps({"port": {"$value": known}}), lambda _: ("text", "raw", b"never asked for"))


@pytest.mark.parametrize(
    ("payload", "text"), [({"$enum": ["Person", "name"]}, "not an enum"), ({"$object": ["Color", {}]}, "an enum")]
)
def test_objects_and_enums_are_not_mixed_up(payload: object, text: str) -> None:
    with pytest.raises(CorruptValueError, match=f"the class '.*' is {text}"):
        read(payload)


def test_trouble_of_the_loader_is_the_callers_own() -> None:
    def load(known: bytes) -> tuple[str, str, bytes]:
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        decode(json.dumps({"p": [{"$tuple": [{"$value": HASH}]}]}), load)


def test_a_row_is_loaded_once_however_often_it_is_named() -> None:
    loaded: list[bytes] = []

    def load(known: bytes) -> tuple[str, str, bytes]:
        loaded.append(known)
        return "text", "raw", b"hello"

    reference = {"$value": HASH}
    assert decode(json.dumps({"a": reference, "b": [reference] * 50}), load) == {"a": "hello", "b": ["hello"] * 50}
    assert loaded == [bytes.fromhex(HASH)]


def test_the_same_list_at_two_ports_is_two_lists() -> None:
    rows: list[object] = [{"name": "x" * 100} for _ in range(100)]
    encoded = encode({"a": rows, "b": rows})
    (blob,) = encoded.blobs
    back = decode(encoded.text, lambda _: (blob.kind, blob.encoding, blob.data))
    assert back == {"a": rows, "b": rows}
    assert back["a"] is not back["b"]


def test_reading_imports_nothing_that_the_data_names() -> None:
    program = """
import json, sys
from workglow.values import decode
from workglow.errors import CorruptValueError
for payload in ({"$object": ["colorsys.x", {}]}, {"$object": ["colorsys", {}]}, {"$enum": ["colorsys", "x"]}):
    try:
        decode(json.dumps({"port": payload}), {}.__getitem__)
    except CorruptValueError:
        pass
print("colorsys" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["False"]


def test_values_of_plain_json_load_no_numpy() -> None:
    program = """
import sys
from workglow.values import decode, encode, fingerprint
decode(encode({"a": [1, ("b", {2: b"c"})]}).text, {}.__getitem__), fingerprint({"a": {1, 2}})
print([name for name in ("numpy", "pydantic", "PIL", "zoneinfo", "asyncio") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]"


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**64), 2**64),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="utf-8"), max_size=5),
        st.sampled_from(["<f4", "|O", "<U1", "Person", "Color", "Rights", "Note", "Model", "AAAA", "AAAAAA==", HASH]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "name", "body", *TAGS]), inner, max_size=2),
        st.builds(lambda tag, held: {tag: held}, st.sampled_from(TAGS), inner),
        st.builds(lambda tag, held: {tag: held}, st.sampled_from(TAGS), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=8,
)
row_kinds = st.sampled_from(["json", "text", "bytes", "array <f4 1", "array <U1 1", "array", "image png", "x"])


@settings(max_examples=500, deadline=None)
@given(json_values, st.tuples(row_kinds, st.sampled_from(["raw", "zlib", "x"]), st.binary(max_size=12)))
def test_nothing_but_a_corrupt_value_error_comes_out(payload: object, row: tuple[str, str, bytes]) -> None:
    with contextlib.suppress(CorruptValueError):
        read(payload, {bytes.fromhex(HASH): row})


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_text_of_ours_gives_values_or_the_error(data: st.DataObject) -> None:
    ours = {"a": [(1, {2}), b"x", Person("n"), Color.RED], "v": numpy.arange(3.0), "d": {"$x": 1}, "t": "x" * 3000}
    encoded = encode(ours, types=types)
    text = encoded.text
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 6, len(text))))
    text = text[:start] + data.draw(st.text('"{}[]:,$a0\\', max_size=3)) + text[end:]
    rows = {blob.hash: (blob.kind, blob.encoding, blob.data) for blob in encoded.blobs}
    with contextlib.suppress(CorruptValueError):
        decode(text, rows.__getitem__, types=types)
