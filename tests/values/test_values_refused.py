"""What cannot be stored is refused with its place and the remedy; secrets never reach a text."""

from __future__ import annotations

import copy
import dataclasses
import enum
import io
import json
import pickle
import threading
from collections import OrderedDict, namedtuple
from datetime import time, tzinfo
from typing import Any

import msgspec
import numpy
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workglow.errors import InvalidValueError, UnstorableValueError
from workglow.values import Secret, ValueTypes, canonical, encode, fingerprint
from workglow.values import blob as blob_module
from workglow.values import encoder as encoder_module


@dataclasses.dataclass
class Box:
    content: Any


class Shape(enum.Enum):
    ROUND = 1


class Form(msgspec.Struct):
    content: Any


class Model(pydantic.BaseModel):
    content: Any


class Nowhere(tzinfo):
    def utcoffset(self, dt: object) -> None:
        return None


Row = namedtuple("Row", "content")


def refused(value: object, **options: Any) -> str:
    with pytest.raises(UnstorableValueError) as error:
        encode({"fine": 1, "rows": value}, **options)
    return str(error.value)


@pytest.mark.parametrize(
    ("value", "reason", "remedy"),
    [
        (lambda: 1, "is a function", "store its name"),
        (len, "is a function", "store its name"),
        (Box, "is a class (type)", "store its name"),
        (json, "is a module", "store its name"),
        (threading.Lock(), "is a lock", "convert it"),
        (io.BytesIO(), "is an open file (BytesIO)", "store its path"),
        (iter([]), "is a list_iterator, which can be read only once", "list(…)"),
        ((item for item in ()), "is a generator", "list(…)"),
        (object(), "is a object (builtins), which the file cannot hold", "numpy array"),
        (1j, "is a complex", "convert it"),
        (Secret("hunter2"), "is a Secret", "store its name"),
        (Box(1), "dataclass of the unregistered class Box", "value_types.register(Box)"),
        (Form(1), "msgspec struct of the unregistered class Form", "value_types.register(Form)"),
        (Model(content=1), "pydantic model of the unregistered class Model", "value_types.register(Model)"),
        (Row(1), "named tuple of the unregistered class Row", "value_types.register(Row)"),
        (Shape.ROUND, "enum of the unregistered class Shape", "value_types.register(Shape)"),
        (OrderedDict(a=1), "is a OrderedDict, which would not come back as one", "dict(…)"),
        (bytearray(b"x"), "is a bytearray", "bytes(…)"),
        (memoryview(b"x"), "is a memoryview", "bytes(…)"),
        (numpy.array([object()]), "is an array of Python objects", "store a list"),
        (numpy.zeros(2, [("a", "i4")]), "is an array of records", "one array for each field"),
        (numpy.zeros(2, numpy.longdouble), "means nothing elsewhere", "astype('float64')"),
        (numpy.ma.masked_array([1]), "is a MaskedArray", "numpy.asarray(…)"),
        (numpy.longdouble(1), "means nothing elsewhere", "astype('float64')"),
        ("ab\ud800", "holds a lone surrogate (U+D800, character 2)", "replace it"),
        (["ab\ud800"], "holds a lone surrogate", "replace it"),
        ({"ab\ud800": 1}, "holds a lone surrogate", "replace it"),
        (numpy.str_("\ud800"), "holds a lone surrogate", "replace it"),
        ("x" * 5000 + "\ud800", "holds a lone surrogate (U+D800, character 5000)", "replace it"),
        (time(1, tzinfo=Nowhere()), "has a time zone that cannot be named (Nowhere)", "zoneinfo.ZoneInfo"),
    ],
)
def test_the_text_says_where_what_and_what_to_do(value: object, reason: str, remedy: str) -> None:
    text = refused([0, {"name": value}], where="task 'summary'")
    assert text.startswith("task 'summary': port 'rows'[1]['name'")
    assert reason in text
    assert remedy in text
    assert "hunter2" not in text


def test_an_awaitable_is_told_to_be_awaited() -> None:
    async def later() -> None: ...

    coroutine = later()
    assert "is a coroutine that was not awaited: await it" in refused(coroutine)
    coroutine.close()


def test_the_place_goes_through_every_container() -> None:
    types = ValueTypes()
    types.register(Box)
    types.register(Form)
    types.register(Model)
    place = refused([0, (1, {"a": Box({2: Form([Model(content=len)])})})], types=types)
    assert place.startswith("port 'rows'[1][1]['a'].content[2].content[0].content is a function")
    assert refused({(1, 2): len}).startswith("port 'rows'[a tuple key] is")
    assert refused({Secret("hunter2"): 1}).startswith("port 'rows'[a Secret key] is a Secret")
    assert refused({frozenset([len])}).startswith("port 'rows'{a member}{a member} is a function")


def test_a_class_is_registered_exactly() -> None:
    types = ValueTypes()
    types.register(Box)
    assert "unregistered class Lid" in refused(dataclasses.make_dataclass("Lid", [], bases=(Box,))(1), types=types)


def test_a_field_without_a_value_is_named() -> None:
    types = ValueTypes()
    types.register(Box)
    box = Box(1)
    del box.content
    assert "Box with no value in its field 'content': set the field" in refused(box, types=types)


def circles() -> dict[str, object]:
    types = ValueTypes()
    types.register(Box)
    plain: list[object] = []
    plain.append(plain)
    through_tuple: list[object] = []
    through_tuple.append((through_tuple,))
    through_dict: dict[object, object] = {"a": {}}
    through_dict["a"] = [{1: through_dict}]
    box = Box(None)
    box.content = [box]
    lid = Box(None)
    lid.content = lid
    return {"lid": lid, "list": plain, "tuple": through_tuple, "dict": through_dict, "dataclass": box}


@pytest.mark.parametrize("kind", circles())
def test_a_value_inside_itself_is_called_that(kind: str) -> None:
    types = ValueTypes()
    types.register(Box)
    text = refused([1, circles()[kind]], types=types)
    assert "contains itself" in text
    assert len(text) < 200


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: (x,), lambda x: {"a": x}, lambda x: {1: x}, Box])
def test_endless_nesting_is_an_error_and_no_crash(wrap: Any) -> None:
    types = ValueTypes()
    types.register(Box)
    value: object = None
    for _ in range(100_000):
        value = wrap(value)
    text = refused(value, types=types)
    assert "nested more than 200 levels deep: flatten it" in text
    assert "…" in text
    assert len(text) < 400
    with pytest.raises(UnstorableValueError, match="nested more than 200"):
        fingerprint(value, types=types)
    while value is not None:  # taking it apart layer by layer: its own destructor would recurse
        value = (
            vars(value)["content"]
            if isinstance(value, Box)
            else next(iter(value.values() if isinstance(value, dict) else value))
        )


def test_names_of_ports_are_text() -> None:
    with pytest.raises(UnstorableValueError, match=r"a port \(1\) has a name that is no text but int"):
        encode({1: 2})  # pyright: ignore[reportArgumentType]
    with pytest.raises(UnstorableValueError, match="lone surrogate"):
        encode({"\ud800": 2})


def test_a_value_larger_than_a_row_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "LARGEST", 3000)
    assert "has 3001 bytes, more than one row can hold: store it in a file" in refused(b"x" * 3001)
    assert blob_module.LARGEST < 1_000_000_000


def test_images_that_png_would_change_are_refused() -> None:
    image_module = pytest.importorskip("PIL.Image", reason="needs Pillow")
    assert "is an image of mode CMYK, which PNG cannot hold: convert it" in refused(image_module.new("CMYK", (1, 1)))
    assert "is an image without pixels" in refused(image_module.new("RGB", (0, 1)))


def test_a_secret_shows_nowhere() -> None:
    secret = Secret("hunter2")
    shown = [str(secret), repr(secret), f"{secret}", f"{secret:>10}", f"{secret!r}", str([secret])]
    shown.append(repr(Box(secret)))
    assert all("***" in text and "hunter2" not in text for text in shown)
    assert secret.reveal() == "hunter2"
    assert not hasattr(secret, "__dict__")


def test_secrets_are_equal_by_text() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("ä\ud800") != Secret("a")
    assert Secret("a") != "a"
    with pytest.raises(InvalidValueError, match="takes text, not int"):
        Secret(1)  # pyright: ignore[reportArgumentType]


def test_secrets_are_copied_but_never_written() -> None:
    secret = Secret("hunter2")
    assert copy.deepcopy({"a": secret})["a"] is secret
    assert copy.copy(secret) is secret
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(UnstorableValueError, match="cannot be pickled"):
            pickle.dumps(secret, protocol)
    for write in (json.dumps, msgspec.json.encode):
        with pytest.raises(TypeError):
            write(secret)


@given(
    st.recursive(
        st.builds(lambda: Secret("hunter2")),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=2),
            st.tuples(inner),
            st.dictionaries(st.text(max_size=2), inner, min_size=1, max_size=2),
            st.dictionaries(inner.filter(lambda key: isinstance(key, Secret)), st.none(), min_size=1),
            st.builds(Box, inner),
            st.builds(lambda item: Model(content=item), inner),
        ),
        max_leaves=4,
    )
)
def test_a_secret_is_refused_wherever_it_hides(value: object) -> None:
    types = ValueTypes()
    types.register(Box)
    types.register(Model)
    for write in (lambda: encode({"p": value}, types=types), lambda: canonical(value, types=types)):
        with pytest.raises(UnstorableValueError) as error:
            write()
        assert "is a Secret, which is never written" in str(error.value)
        assert "hunter2" not in str(error.value)
