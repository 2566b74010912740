"""Models of transformers that see."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import made_models
import numpy as np
import pytest

from workglow.ai import Finish, Model, Models, UsageReport

pytestmark = [
    pytest.mark.extra("transformers"),
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("torch", "transformers", "PIL")),
        reason="needs torch, transformers and Pillow: pip install 'workglow[transformers]'",
    ),
    pytest.mark.usefixtures("torch_threads"),
]


@pytest.fixture
def at(models: Models, made: Callable[..., Path]) -> Callable[..., Model]:
    return lambda function: models.model(f"hf:{made(function)}")


def test_images_are_sorted(at: Any) -> None:
    model = at(made_models.colours_model)
    for colour in ("red", "blue"):
        found = model.provider.classify_image(model.record, made_models.picture(colour))
        assert (found[0]["label"], len(found)) == (colour, 2)
        assert found[0]["score"] > 0.9


def test_a_picture_with_transparency_is_seen_too(at: Any) -> None:
    model = at(made_models.colours_model)
    found = model.provider.classify_image(model.record, made_models.picture("red").convert("RGBA"))
    assert found[0]["label"] == "red"


def test_images_are_sorted_freely_and_lie_beside_their_words(at: Any) -> None:
    model = at(made_models.pairs_model)
    red, blue = made_models.picture("red"), made_models.picture("blue")
    for image, label in ((red, "red"), (blue, "blue")):
        found = model.provider.classify_image_freely(model.record, image, labels=["blue", "red"])
        assert found[0]["label"] == label
        assert found[0]["score"] > 0.9
    images = model.provider.embed_image(model.record, [red, blue] * 10)
    assert images.shape == (20, 8)
    assert np.allclose(images[0], images[18], atol=1e-5)
    texts = model.embed_sync(["this is a photo of red.", "this is a photo of blue."])
    assert (texts @ images[:2].T).argmax(axis=1).tolist() == [0, 1]


def test_an_image_is_described(at: Any) -> None:
    model = at(made_models.captions_model)
    told = list(model.provider.describe_image(model.record, made_models.picture("red"), prompt="", max_tokens=5))
    assert told[-2:] == [UsageReport(0, 5), Finish("length")]


def test_objects_have_boxes_in_pixels(at: Any) -> None:
    model = at(made_models.boxes_model)
    found = model.provider.detect_objects(model.record, made_models.picture("red"), labels=[], threshold=0.1)
    assert found
    for one in found:
        assert one["label"] in ("cat", "dog")
        assert 0 <= one["box"]["x"] <= one["box"]["x"] + one["box"]["width"] <= 20
        assert 0 <= one["box"]["y"] <= one["box"]["y"] + one["box"]["height"] <= 30
    assert model.provider.detect_objects(model.record, made_models.picture("red"), labels=[], threshold=0.99) == []


def test_the_parts_of_an_image_cover_it_once(at: Any) -> None:
    model = at(made_models.parts_model)
    found = model.provider.segment_image(model.record, made_models.picture("red"), threshold=0.5, mask_threshold=0.5)
    assert {one["label"] for one in found} <= {"sky", "sea"}
    assert all((one["mask"].size, one["mask"].mode) == ((20, 30), "L") for one in found)
    assert (sum(np.asarray(one["mask"], np.int64) for one in found) == 255).all()
