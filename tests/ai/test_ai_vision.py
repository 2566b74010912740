"""The tasks that see, whatever model they have: images in every shape, options, many images, rights and the cache."""

from __future__ import annotations

import base64
import importlib.util
import inspect
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import workglow as wg
from workglow import Workflow
from workglow.ai import Finish, ModelRecord, Provider, ProviderRegistry, TextDelta
from workglow.ai.vision.image import as_image
from workglow.errors import (
    OutsideRootsError,
    ResourceLimitError,
    SourceError,
    TaskEntitlementError,
    TaskInputError,
    UnsupportedCapabilityError,
)
from workglow.tasks import task_registry

pytestmark = [
    pytest.mark.extra("images"),
    pytest.mark.skipif(importlib.util.find_spec("PIL") is None, reason="needs Pillow: pip install 'workglow[images]'"),
]

RED, BLUE = (255, 0, 0), (0, 0, 255)


def pixels(color: Any = RED, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> Any:
    from PIL import Image

    return Image.new(mode, size, color)


def encoded(image: Any, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


class Eyes(Provider):
    """Says what it was asked, and names the colour in the middle of the image."""

    name: ClassVar[str] = "eyes"
    asked: ClassVar[list[dict[str, Any]]] = []

    def _note(self, image: Any, **options: Any) -> str:
        self.asked.append({"mode": image.mode, "size": image.size, **options})
        red, _, blue = image.getpixel((image.width // 2, image.height // 2))
        return "red" if red > blue else "blue"

    def classify_image(self, model: ModelRecord, image: Any) -> Any:
        first = self._note(image)
        return [{"label": first, "score": 0.9}, *({"label": f"other {n}", "score": 0.01} for n in range(9))]

    def classify_image_freely(self, model: ModelRecord, image: Any, *, labels: Sequence[str]) -> Any:
        first = self._note(image, labels=labels)
        return sorted(({"label": one, "score": float(one == first)} for one in labels), key=lambda one: -one["score"])

    def embed_image(self, model: ModelRecord, images: Sequence[Any]) -> Any:
        self.asked.append({"images": len(images)})
        return np.array([image.getpixel((0, 0)) for image in images], np.float32)

    def describe_image(
        self, model: ModelRecord, image: Any, *, prompt: str, max_tokens: int | None
    ) -> Iterator[TextDelta | Finish]:
        yield TextDelta("something ")
        yield TextDelta(self._note(image, prompt=prompt, max_tokens=max_tokens))
        yield Finish()

    def detect_objects(self, model: ModelRecord, image: Any, **options: Any) -> Any:
        box = {"x": 0.0, "y": 0.0, "width": float(image.width), "height": float(image.height)}
        return [{"label": self._note(image, **options), "score": 1.0, "box": box}]

    def segment_image(self, model: ModelRecord, image: Any, **options: Any) -> Any:
        return [{"label": self._note(image, **options), "score": 1.0, "mask": pixels(255, image.size, "L")}]

    def remove_background(self, model: ModelRecord, image: Any) -> Any:
        self._note(image)
        return image.convert("RGBA")

    def detect_faces(self, model: ModelRecord, image: Any, **options: Any) -> Any:
        self._note(image, **options)
        return [{"box": {"x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0}, "keypoints": [], "score": 0.5}]

    def find_face_landmarks(self, model: ModelRecord, image: Any, **options: Any) -> Any:
        self._note(image, **options)
        return [{"landmarks": [{"x": 0.5, "y": 0.5, "z": 0.0}]}]

    def find_hand_landmarks(self, model: ModelRecord, image: Any, **options: Any) -> Any:
        self._note(image, **options)
        return [{"handedness": [], "landmarks": [], "worldLandmarks": []}]

    def find_pose_landmarks(self, model: ModelRecord, image: Any, **options: Any) -> Any:
        self._note(image, **options)
        return [{"landmarks": [], "worldLandmarks": []}]

    def recognise_gestures(self, model: ModelRecord, image: Any, **options: Any) -> Any:
        self._note(image, **options)
        return [{"gestures": [], "handedness": [], "landmarks": [], "worldLandmarks": []}]


@pytest.fixture
def project(project_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[wg.Project]:
    monkeypatch.chdir(project_path.parent)
    registry = ProviderRegistry()
    registry.register(Eyes)
    Eyes.asked.clear()
    with wg.open(project_path, providers=registry) as project:
        yield project


def classified(project: wg.Project, image: Any, **inputs: Any) -> Any:
    workflow = Workflow().image_classification(model="eyes:one", **inputs)
    return project.run_sync(workflow, {"image": image}).outputs["categories"]


# ---------------------------------------------------------------------- images


@pytest.mark.parametrize("form", ["image", "bytes", "data", "path", "file"])
def test_an_image_may_be_given_in_every_form(project: wg.Project, form: str) -> None:
    picture = pixels(BLUE)
    data = encoded(picture)
    Path("picture.png").write_bytes(data)
    image = {
        "image": picture,
        "bytes": data,
        "data": f"data:image/png;base64,{base64.b64encode(data).decode()}",
        "path": "picture.png",
        "file": Path("picture.png").resolve().as_uri(),
    }[form]
    assert classified(project, image)[0]["label"] == "blue"
    assert Eyes.asked == [{"mode": "RGB", "size": (8, 6)}]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_every_format_of_pixels_is_read(format: str) -> None:
    assert as_image(encoded(pixels(BLUE), format)).mode == "RGB"


def test_transparency_is_laid_on_white() -> None:
    clear = pixels((0, 0, 0, 0), mode="RGBA")
    assert as_image(clear).getpixel((0, 0)) == (255, 255, 255)
    assert as_image(encoded(clear)).getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bits_a_pixel_are_scaled_not_cut_off() -> None:
    grey = as_image(encoded(pixels(0x8080, mode="I;16")))
    assert grey.mode == "RGB"
    assert abs(grey.getpixel((0, 0))[0] - 0x80) <= 1


def test_a_photo_stands_as_its_camera_noted() -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by a quarter
    assert as_image(encoded(pixels(size=(8, 6)), "JPEG", exif=exif)).size == (6, 8)


def test_the_given_image_stays_as_it_is() -> None:
    picture = pixels()
    as_image(picture).putpixel((0, 0), BLUE)
    assert picture.getpixel((0, 0)) == RED


@pytest.mark.parametrize(
    ("given", "error", "reason"),
    [
        (17, TaskInputError, "17 is no image.  Give a PIL image"),
        (b"nothing", SourceError, "cannot be read as BMP, GIF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", SourceError, "cannot be read"),
        ("data:image/png,abc", TaskInputError, "in base64"),
        ("data:image/png;base64,!!", TaskInputError, "no base64"),
        ("https://example.com/a.png", SourceError, "no file of this machine"),
        ("../a.png", OutsideRootsError, "Give its folder in `roots`"),
    ],
)
def test_what_is_no_image_is_told(given: Any, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        as_image(given)


def test_an_image_of_too_many_pixels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    data = encoded(pixels(size=(20, 20)))
    for most in (300, 100):  # Pillow only warns up to twice as many
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(ResourceLimitError, match=f"more than {most} pixels"):
            as_image(data)


# ---------------------------------------------------------------------- one or many


def test_several_images_give_a_list_for_each_in_order(project: wg.Project) -> None:
    found = classified(project, [pixels(RED), pixels(BLUE)])
    assert [labels[0]["label"] for labels in found] == ["red", "blue"]
    assert classified(project, []) == []


def test_classes_are_cut_to_the_likeliest(project: wg.Project) -> None:
    assert len(classified(project, pixels())) == 5
    assert len(classified(project, pixels(), max_categories=2)) == 2


def test_categories_ask_for_classes_that_the_model_was_not_trained_on(project: wg.Project) -> None:
    assert classified(project, pixels(BLUE), categories=["red", "blue"])[0] == {"label": "blue", "score": 1.0}
    assert Eyes.asked[0]["labels"] == ["red", "blue"]


def test_vectors_are_of_unit_length_and_made_a_few_at_a_time(project: wg.Project) -> None:
    workflow = Workflow().image_embedding(model="eyes:one")
    one = project.run_sync(workflow, {"image": pixels(BLUE)}).outputs["vector"]
    assert one.tolist() == [0, 0, 1]
    many = project.run_sync(workflow, {"image": [pixels(RED)] * 39 + [pixels(BLUE)]}).outputs["vector"]
    assert (many.shape, many.dtype) == ((40, 3), np.float32)
    assert (many[0].tolist(), many[39].tolist()) == ([1, 0, 0], [0, 0, 1])
    assert [call["images"] for call in Eyes.asked] == [1, 16, 16, 8]
    assert project.run_sync(workflow, {"image": []}).outputs["vector"].shape == (0, 0)


def test_images_in_lists_of_lists_are_refused(project: wg.Project) -> None:
    with pytest.raises(TaskInputError, match="is no image"):
        classified(project, [["picture.png"]])


def test_a_description_comes_piece_by_piece(project: wg.Project) -> None:
    workflow = Workflow().image_to_text(model="eyes:one")
    events: list[Any] = []
    project.run_sync(workflow, {"image": pixels(BLUE)}, on_event=events.append)
    assert [event.data.data for event in events if event.kind == "task_chunk"] == ["something ", "blue"]


def test_a_description_is_whole_and_those_of_several_images_come_together(project: wg.Project) -> None:
    workflow = Workflow().image_to_text(model="eyes:one", prompt="What is it?", max_tokens=9)
    assert project.run_sync(workflow, {"image": pixels(BLUE)}).outputs == {"text": "something blue"}
    assert Eyes.asked[0] == {"mode": "RGB", "size": (8, 6), "prompt": "What is it?", "max_tokens": 9}
    several = project.run_sync(workflow, {"image": [pixels(BLUE), pixels(RED)]}).outputs
    assert several == {"text": ["something blue", "something red"]}


# ---------------------------------------------------------------------- what is declared is what happens


OPTIONS = {
    "ObjectDetectionTask": ("detections", {"labels": ["red"], "threshold": 0.25}),
    "ImageSegmentationTask": ("masks", {"threshold": 0.25, "mask_threshold": 0.75}),
    "FaceDetectorTask": ("faces", {"min_detection_confidence": 0.25, "min_suppression_threshold": 0.75}),
    "FaceLandmarkerTask": (
        "faces",
        {
            "num_faces": 2,
            "min_face_detection_confidence": 0.1,
            "min_face_presence_confidence": 0.2,
            "min_tracking_confidence": 0.3,
            "output_face_blendshapes": True,
            "output_facial_transformation_matrixes": True,
        },
    ),
    "HandLandmarkerTask": (
        "hands",
        {
            "num_hands": 2,
            "min_hand_detection_confidence": 0.1,
            "min_hand_presence_confidence": 0.2,
            "min_tracking_confidence": 0.3,
        },
    ),
    "GestureRecognizerTask": (
        "hands",
        {
            "num_hands": 2,
            "min_hand_detection_confidence": 0.1,
            "min_hand_presence_confidence": 0.2,
            "min_tracking_confidence": 0.3,
        },
    ),
    "PoseLandmarkerTask": (
        "poses",
        {
            "num_poses": 2,
            "min_pose_detection_confidence": 0.1,
            "min_pose_presence_confidence": 0.2,
            "min_tracking_confidence": 0.3,
            "output_segmentation_masks": True,
        },
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_declared_input_reaches_the_model_and_the_outputs_are_as_declared(project: wg.Project, name: str) -> None:
    port, options = OPTIONS[name]
    task = task_registry.get(name)
    assert set(task(id="t").inputs) == {"image", "model", *options}
    workflow = Workflow().then(task(id="t", defaults={"model": "eyes:one", **options}))
    one = project.run_sync(workflow, {"image": pixels()}).outputs
    assert list(one) == [port]
    assert Eyes.asked == [{"mode": "RGB", "size": (8, 6), **options}]
    several = project.run_sync(workflow, {"image": [pixels(), pixels()]}).outputs
    assert several[port] == [one[port], one[port]]


def test_only_objects_that_are_wanted_and_sure_enough_are_given_whatever_the_model_says(project: wg.Project) -> None:
    for options, expected in (({}, ["red"]), ({"labels": ["blue"]}, []), ({"labels": ["blue", "red"]}, ["red"])):
        run = project.run_sync(Workflow().object_detection(model="eyes:one", **options), {"image": pixels()})
        assert [one["label"] for one in run.outputs["detections"]] == expected


@pytest.mark.parametrize("name", OPTIONS)
def test_the_options_of_a_provider_are_those_of_the_task(name: str) -> None:
    task = task_registry.get(name)
    method = getattr(Provider, task.capabilities[0])
    keywords = {name for name, one in inspect.signature(method).parameters.items() if one.kind is one.KEYWORD_ONLY}
    assert keywords == set(OPTIONS[name][1])


def test_masks_and_images_are_kept_in_the_file(project: wg.Project) -> None:
    masks = project.run_sync(Workflow().image_segmentation(model="eyes:one"), {"image": pixels()})
    kept = project.get(masks.id).outputs["masks"][0]
    assert (kept["mask"].mode, kept["mask"].size, kept["mask"].getextrema()) == ("L", (8, 6), (255, 255))
    cut = project.run_sync(Workflow().background_removal(model="eyes:one"), {"image": pixels()})
    assert project.get(cut.id).outputs["image"].mode == "RGBA"


def test_a_model_that_cannot_see_says_what_it_can(project: wg.Project) -> None:
    record = {"name": "eyes:two", "provider": "eyes", "capabilities": ["detect_faces"]}
    with pytest.raises(UnsupportedCapabilityError, match=r"cannot find objects in an image.  It can: detect_faces"):
        project.run_sync(Workflow().object_detection(model=record), {"image": pixels()})
    record = {"name": "eyes:two", "provider": "eyes", "capabilities": ["classify_image"]}
    freely = Workflow().image_classification(model=record, categories=["a", "b"])
    with pytest.raises(UnsupportedCapabilityError, match=r"that it was not trained on.  It can: classify_image"):
        project.run_sync(freely, {"image": pixels()})


# ---------------------------------------------------------------------- rights, and what is in a file now


def as_data(project: wg.Project, image: Any, **options: Any) -> Any:
    graph = wg.TaskGraph.from_json(Workflow().image_classification(model="eyes:one").graph.to_json())
    return project.run_sync(graph, {"image": image}, **options).outputs["categories"]


def test_a_graph_from_data_needs_leave_to_read_an_image_but_none_for_one_that_it_is_given(project: wg.Project) -> None:
    Path("picture.png").write_bytes(encoded(pixels(BLUE)))
    assert as_data(project, pixels(BLUE))[0]["label"] == "blue"
    with pytest.raises(TaskEntitlementError, match=r"files:read=.*picture\.png"):
        as_data(project, "picture.png")
    with pytest.raises(TaskEntitlementError, match="files:read"):
        as_data(project, [pixels(), "picture.png"])
    assert as_data(project, "picture.png", entitlements=["files:read=."])[0]["label"] == "blue"


def test_an_image_is_read_only_from_the_roots(project: wg.Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    path = elsewhere / "picture.png"
    path.write_bytes(encoded(pixels(BLUE)))
    with pytest.raises(OutsideRootsError):
        classified(project, str(path))
    assert classified(project, str(path), roots=[str(elsewhere)])[0]["label"] == "blue"


def test_a_file_that_changed_is_looked_at_again(project: wg.Project) -> None:
    path = Path("picture.png")
    path.write_bytes(encoded(pixels(BLUE)))
    for _ in range(2):
        assert classified(project, ["picture.png"])[0][0]["label"] == "blue"
    assert len(Eyes.asked) == 1
    path.write_bytes(encoded(pixels(RED, size=(9, 9))))
    assert classified(project, ["picture.png"])[0][0]["label"] == "red"
