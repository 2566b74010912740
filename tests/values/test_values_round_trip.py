"""What is encoded comes back equal and of the same type, whatever it is made of."""

from __future__ import annotations

import dataclasses
import enum
import math
import random
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import numpy
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.errors import InvalidValueError
from workglow.values import Encoded, ValueTypes, decode, encode, verify

types = ValueTypes()


@types.register
@dataclasses.dataclass
class Person:
    name: Any
    friends: list[Any] = dataclasses.field(default_factory=list)


@types.register
@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: Any
    length: float = dataclasses.field(init=False, default=0.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", 2.0)


@types.register
class Message(msgspec.Struct, frozen=True, rename="camel"):
    long_body: Any
    at: Any = None


@types.register
class Answer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    text: Any
    score: float = pydantic.Field(0.5, alias="theScore")
    _calls: int = pydantic.PrivateAttr(default=3)
    _seen: set[str] = pydantic.PrivateAttr(default_factory=set)
    _unset: str

    @pydantic.field_validator("score")
    @classmethod
    def doubled(cls, score: float) -> float:
        return score * 2


@types.register
class Pair(NamedTuple):
    left: Any
    right: Any


@types.register
class Color(enum.Enum):
    RED = "r"
    ROT = "r"  # noqa: PIE796 - an alias
    BLUE = 2


@types.register
class Level(enum.StrEnum):
    HIGH = "high"


@types.register
class Rights(enum.IntFlag):
    READ = 1
    WRITE = 2


def loader(encoded: Encoded):
    rows = {blob.hash: (blob.kind, blob.encoding, blob.data) for blob in encoded.blobs}
    return rows.__getitem__


def round_trip(value: object, inline: int = 4096) -> Any:
    encoded = encode({"port": value}, inline=inline, types=types)
    assert all(verify(blob) for blob in encoded.blobs)
    return decode(encoded.text, loader(encoded), types=types)["port"]


def same(left: Any, right: Any) -> bool:
    """Equal and of the same type all the way down; NaN is NaN, -0.0 is not 0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, numpy.ndarray | numpy.generic):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, float):
        return repr(left) == repr(right)
    if isinstance(left, Decimal):
        return str(left) == str(right)
    if isinstance(left, dict):
        return list(map(type, left)) == list(map(type, right)) and same(
            [[*pair] for pair in left.items()], [[*pair] for pair in right.items()]
        )
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, datetime):
        return left == right and left.isoformat() == right.isoformat() and str(left.tzinfo) == str(right.tzinfo)
    if dataclasses.is_dataclass(left):
        return same(vars(left), vars(right)) if hasattr(left, "__dict__") else left == right
    return left == right


texts = st.text(st.characters(codec="utf-8"), max_size=12)
zones = st.one_of(
    st.none(),
    st.builds(lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-1439, 1439)),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata"]).map(ZoneInfo),
)
hashable = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    texts,
    st.binary(max_size=300),
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=zones),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.sampled_from([Path("a/b.txt"), Path("/"), Path(), *Color, *Level, Rights(0), Rights.READ | Rights.WRITE]),
)
scalars = st.one_of(
    hashable,
    st.floats(),
    st.sampled_from(["$value", "$", "x" * 2048, "y" * 2049, "ä" * 3000, Decimal("NaN"), math.nan, -0.0]),
    st.sampled_from([numpy.float32(0.1), numpy.int64(-5), numpy.bool_(True), numpy.str_("a\0"), numpy.bytes_(b"b\0")]),
    st.sampled_from([numpy.datetime64("2024-01-01"), numpy.timedelta64(5, "s"), numpy.complex64(1 + 2j)]),
    st.sampled_from([numpy.float64("nan"), numpy.float64("inf"), numpy.uint64(2**64 - 1), numpy.float16(2)]),
    st.sampled_from([numpy.arange(6.0).reshape(2, 3), numpy.zeros((0, 3)), numpy.array(7), numpy.arange(400)]),
    st.sampled_from([numpy.array(["a", "böö"]), numpy.array([True, False]), numpy.arange(5).view("M8[D]")]),
)
keys = st.one_of(texts, texts.map(lambda text: "$" + text), st.sampled_from(["$value", "$dict", "$bytes"]))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(st.one_of(hashable, keys), inner, max_size=3),
        st.sets(hashable, max_size=4),
        st.frozensets(st.one_of(hashable, st.tuples(hashable, hashable)), max_size=4),
        st.builds(Person, inner, st.lists(inner, max_size=2)),
        st.builds(Pair, inner, inner),
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(values, st.sampled_from([0, 100, 4096]))
def test_every_value_comes_back_the_same(value: object, inline: int) -> None:
    assert same(round_trip(value, inline), value)


@settings(deadline=None)
@given(st.dictionaries(keys, st.one_of(scalars, st.dictionaries(keys, scalars)), max_size=4))
def test_ports_may_be_called_anything(ports: dict[str, object]) -> None:
    encoded = encode(ports, types=types)
    assert same(decode(encoded.text, loader(encoded), types=types), ports)


@pytest.mark.parametrize(
    "value",
    [
        Person("Ann", [Person("Bob"), {"$value": "0" * 64}]),
        Message(long_body="x" * 5000, at=datetime(2024, 1, 1, tzinfo=UTC)),
        Answer(text=("a",), theScore=1.5, **{"$more": b"x"}),  # pyright: ignore[reportArgumentType]
        Pair(1, Pair(2.0, "3")),
        {Color.RED: {Level.HIGH, "high2"}},
        time(12, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        time(12, 30, tzinfo=timezone(timedelta(hours=1))),
        [date(2024, 1, 1), UUID(int=5), timedelta.max, timedelta.min],
        2**5_000,
    ],
)
def test_registered_and_rare_values_come_back(value: object) -> None:
    back = round_trip(value)
    assert type(back) is type(value)
    assert back == value


@pytest.mark.parametrize(
    "value",
    [
        [math.nan],
        [1.0, math.inf],
        [-math.inf, math.inf],
        [1e308, 1e308],
        [-(2**63) - 1, 5],
        [2**63],
        [2**63 - 1],
        ["ä"],
    ],
)
def test_lists_of_one_type_take_no_short_cut_past_a_tag(value: list[object]) -> None:
    assert same(round_trip(value), value)
    assert same(round_trip(tuple(value)), tuple(value))


@pytest.mark.parametrize("wrap", [lambda number: number, lambda number: [number], lambda number: (number,)])
def test_only_integers_beyond_64_bits_are_tagged(wrap: Any) -> None:
    for number in (-(2**63), 2**63 - 1):
        assert "$int" not in encode({"p": wrap(number)}).text
    assert '{"$int":"-0x8000000000000001"}' in encode({"p": wrap(-(2**63) - 1)}).text
    assert '{"$int":"0x8000000000000000"}' in encode({"p": wrap(2**63)}).text


def test_restoring_runs_neither_initialisers_nor_validators() -> None:
    point = Point(1)
    object.__setattr__(point, "length", 7.0)
    assert round_trip(point).length == 7.0
    answer = Answer(text="a", theScore=1.0)
    assert (answer.score, round_trip(answer).score) == (2.0, 2.0)
    back = round_trip(answer)
    assert back == answer
    assert (back._calls, back._seen) == (3, set())
    assert back._seen is not answer._seen


def test_aliases_do_not_mix_fields_up() -> None:
    class Swapped(pydantic.BaseModel):
        a: int = pydantic.Field(alias="b")
        b: int = pydantic.Field(alias="a")

    types.register(Swapped)
    value = Swapped.model_validate({"a": 1, "b": 2})
    assert (value, value.a) == (round_trip(value), 2)


@pytest.mark.parametrize("fold", [0, 1])
def test_both_hours_of_a_clock_change_come_back(fold: int) -> None:
    moment = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
    back = round_trip(moment)
    assert (back.utcoffset(), back.tzinfo, back.fold) == (moment.utcoffset(), moment.tzinfo, fold)


def test_a_zone_whose_rules_changed_keeps_the_moment() -> None:
    back = decode('{"t":{"$datetime":"2024-07-01T12:00:00+05:00[Europe/Berlin]"}}', {}.__getitem__)["t"]
    assert back == datetime(2024, 7, 1, 7, tzinfo=UTC)
    assert isinstance(back, datetime)
    assert back.tzinfo == ZoneInfo("Europe/Berlin")


def test_zones_of_other_classes_keep_their_offset() -> None:
    moment = pydantic.TypeAdapter(datetime).validate_json('"2024-01-01T00:00:00+02:00"')
    assert type(moment.tzinfo) is not timezone
    assert round_trip(moment) == moment


@pytest.mark.parametrize("dtype", [">f4", "<f4", ">i2", "|u1", ">U3", ">M8[ms]", "<c16", "?"])
def test_arrays_come_back_in_little_endian_and_c_order(dtype: str) -> None:
    array = numpy.asfortranarray(numpy.array([[0, 1, 2], [3, 4, 5]]).astype(dtype))
    back = round_trip(array)
    assert back.dtype == numpy.dtype(dtype).newbyteorder("<")
    assert (back == array).all()
    assert not back.flags.writeable


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_images_come_back_as_they_were(mode: str) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="needs Pillow")
    image = image_module.new("RGB", (5, 3), (200, 100, 50)).convert(mode if mode != "I;16" else "L").convert(mode)
    encoded = encode({"image": image})
    assert [blob.kind for blob in encoded.blobs] == ["image png"]
    back: Any = decode(encoded.text, loader(encoded))["image"]
    assert (back.mode, back.size, back.tobytes()) == (image.mode, image.size, image.tobytes())


def test_a_class_that_gained_a_field_reads_old_values() -> None:
    old, new = ValueTypes(), ValueTypes()
    old.register(dataclasses.make_dataclass("Note", [("text", str)]), "Note")
    new.register(
        dataclasses.make_dataclass("Note", [("text", str), ("tags", list, dataclasses.field(default_factory=list))])
    )
    encoded = encode({"n": old.get("Note")("hi")}, types=old)  # pyright: ignore[reportOptionalCall]
    back: Any = decode(encoded.text, loader(encoded), types=new)["n"]
    assert (back.text, back.tags) == ("hi", [])


def test_a_model_that_gained_a_field_reads_old_values() -> None:
    registry = ValueTypes()
    registry.register(
        pydantic.create_model("Note", text=(str, ...), tags=(list[str], pydantic.Field(default_factory=list)))
    )
    back: Any = decode('{"n":{"$object":["Note",{"text":"hi"}]}}', {}.__getitem__, types=registry)["n"]
    assert back.model_dump() == {"text": "hi", "tags": []}
    assert back.model_fields_set == {"text"}


def test_a_renamed_class_reads_its_old_name_and_writes_the_new() -> None:
    renamed = ValueTypes()
    renamed.register(Person, "Human")
    renamed.register(Person, "Person")
    text = encode({"p": Person("Ann")}, types=types).text
    assert decode(text, {}.__getitem__, types=renamed) == {"p": Person("Ann")}
    assert '"Human"' in encode({"p": Person("Ann")}, types=renamed).text
    assert renamed.names() == ["Human", "Person"]


def test_a_name_belongs_to_one_class() -> None:
    with pytest.raises(InvalidValueError, match=r"belongs to .*Person.*name=…"):
        types.register(Pair, "Person")
    with pytest.raises(InvalidValueError, match="neither a dataclass"):
        types.register(OrderedDict)
    with pytest.raises(InvalidValueError, match="cannot name a class"):
        types.register(Person, "no spaces")


def test_a_notebook_cell_may_define_its_class_again() -> None:
    registry = ValueTypes()

    def cell() -> Any:
        return registry.register(namedtuple("cell", "a"))

    first, second = cell(), cell()
    assert first is not second
    assert type(decode(encode({"c": second(1)}, types=registry).text, {}.__getitem__, types=registry)["c"]) is second


def test_the_same_value_is_one_row() -> None:
    array, text = numpy.arange(1000), "long " * 1000
    encoded = encode({"a": array, "b": [array.copy(), text], "c": text, "d": "short"})
    assert sorted(blob.kind for blob in encoded.blobs) == ["array <i8 1000", "text"]
    again = encode({"z": array.astype(">i8")})
    assert again.blobs[0] in encoded.blobs


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (b"x" * 256, []),
        (b"x" * 257, ["bytes"]),
        ("x" * 2048, []),
        ("x" * 2049, ["text"]),
        (numpy.zeros(64, "f4"), []),
        (numpy.zeros(65, "f4"), ["array <f4 65"]),
        (["x" * 2000] * 2, []),
        (["x" * 2000] * 3, ["json"]),
        ([["x" * 2049] * 60], ["text", "json"]),
    ],
)
def test_what_is_large_leaves_as_a_row(value: object, kinds: list[str]) -> None:
    encoded = encode({"port": value})
    assert [blob.kind for blob in encoded.blobs] == kinds
    assert ('{"port":{"$value":"' in encoded.text) == bool(kinds)
    assert same(round_trip(value), value)


def test_the_inline_limit_holds_for_each_port() -> None:
    encoded = encode({"short": 1, "long": "x" * 60}, inline=50)
    assert [(blob.kind, blob.data) for blob in encoded.blobs] == [("json", b'"' + b"x" * 60 + b'"')]
    assert encoded.text.startswith('{"short":1,"long":{"$value":"')
    assert encode({str(port): "x" * 48 for port in range(9)}, inline=50).blobs == ()


def test_only_long_compressible_texts_are_compressed() -> None:
    def packed(value: object) -> tuple[str, bool]:
        (blob,) = encode({"port": value}).blobs
        return blob.encoding, len(blob.data) < blob.size

    assert packed("x" * 4095) == ("raw", False)
    assert packed("x" * 4096) == ("zlib", True)
    assert packed(["x" * 2000] * 3) == ("zlib", True)
    assert packed(b"x" * 10_000) == ("raw", False)
    assert packed(numpy.zeros(10_000)) == ("raw", False)
    dice = random.Random(0)
    dense = "".join(chr(dice.choice([dice.randrange(0x80), dice.randrange(0x80, 0x800)])) for _ in range(8000))
    assert packed(dense) == ("raw", False)


def test_verify_sees_every_change() -> None:
    (blob,) = encode({"port": "long text " * 1000}).blobs
    assert blob.encoding == "zlib"
    assert verify(blob)
    damaged = bytes([blob.data[0], blob.data[1], blob.data[2] ^ 1]) + blob.data[3:]
    for change in (
        {"data": damaged},
        {"data": blob.data[:-1]},
        {"data": blob.data + b"x"},
        {"size": blob.size - 1},
        {"size": blob.size + 1},
        {"size": -1},
        {"kind": "json"},
        {"encoding": "raw"},
        {"encoding": "lzma"},
        {"hash": bytes(32)},
    ):
        assert not verify(blob._replace(**change))
