"""What whoever runs models must offer: one method for each thing that their models can do.

Subclass `Provider` and write the methods that yours can; what it is capable of is read off the class.  A method may be
a coroutine, or a plain function, which is called in a thread.  The methods that write are generators of events, async
ones or plain ones.  Raise RateLimitedError, ModelUnavailableError, ModelCallError, AuthenticationError or
ContextTooLongError for what goes wrong, by the type of the error that was met and never by its text.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from workglow.ai.capability import CAPABILITIES, MANAGEMENT
from workglow.ai.record import ModelRecord
from workglow.ai.residents import Residents
from workglow.errors import UnknownModelError, UnsupportedCapabilityError
from workglow.tasks.entitlements import Entitlement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workglow.ai.events import ModelEvent
    from workglow.ai.request import GenerationRequest
    from workglow.ai.results import Entity, Filling, FoundAnswer, Label, LanguageGuess
    from workglow.ai.results_of_images import (
        DetectedFace,
        DetectedObject,
        FaceLandmarks,
        Gesture,
        HandLandmarks,
        PoseLandmarks,
        Segment,
    )
    from workglow.values import Secret

    Vectors: TypeAlias = NDArray[np.float32]
else:
    Vectors = "numpy.ndarray"  # numpy costs 100 ms, and whoever only resolves a name needs none

__all__ = ["CredentialReader", "Events", "Progress", "Provider", "Purpose", "Vectors"]

Purpose: TypeAlias = Literal["document", "query"]
"""Some models embed a question otherwise than the texts among which its answer is sought."""

Events: TypeAlias = "AsyncIterator[ModelEvent] | Iterator[ModelEvent]"

CredentialReader: TypeAlias = "Callable[[str], Secret]"
"""Gives what a reference, such as 'env:OPENAI_API_KEY', stands for."""

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Told the name of a file, how many bytes of it are there, and how many there will be, if that is known."""


class Provider:
    """Runs models.  `name` is what their names begin with, 'openai' in 'openai:gpt-5-mini'.

    `extra` is the extra of workglow that brings its libraries; `is_local` says that its models run in this process.
    `credential` is where its key is found unless a model's record says otherwise; `hosts` are those that it asks when
    it looks for models or downloads them.  One instance serves one project.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    extra: ClassVar[str] = ""
    is_local: ClassVar[bool] = True
    credential: ClassVar[str] = ""
    hosts: ClassVar[tuple[str, ...]] = ()

    def __init__(self, credentials: CredentialReader | None = None) -> None:
        self._credentials = credentials
        self.residents = Residents()  # those of a project share one budget

    @classmethod
    def capabilities(cls) -> frozenset[str]:
        """What it can do at all."""
        names = (*CAPABILITIES, *MANAGEMENT)
        return frozenset(name for name in names if getattr(cls, name) is not getattr(Provider, name))

    def capabilities_of(self, model: ModelRecord) -> frozenset[str]:
        """What it can do with one model; without loading it."""
        return frozenset(model.capabilities) or self.capabilities()

    def record(self, name: str) -> ModelRecord:
        """Return the record of a model that is in no catalogue, by its full name; it is neither loaded nor fetched.

        UnknownModelError says which there are.
        """
        prefix, _, source = name.partition(":")
        if not source:
            raise UnknownModelError(f"{name!r} names no model of {self.title or prefix}.")
        return ModelRecord(name=name, provider=self.name, source=source)

    def secret(self, model: ModelRecord) -> Secret | None:
        """Return the credential of a model; None when it needs none."""
        reference = model.credential or self.credential
        return self._credentials(reference) if self._credentials is not None and reference else None

    def required_entitlements(self, model: ModelRecord) -> tuple[Entitlement, ...]:
        """What a graph that was read from data must be granted before it may call the model.

        By default to read it, when it is a file or a folder that the graph names by its path.
        """
        if not self.is_local or not model.source.startswith(("/", "~", ".")):
            return ()
        return (Entitlement("files:read", (os.path.expanduser(model.source),), f"to load the model {model.name!r}"),)

    def hosts_asked(self) -> tuple[str, ...]:
        """Those that it asks when it looks for models or downloads them; a graph from data is granted each."""
        return self.hosts

    def close(self) -> None:
        """Let go of connections and the like; whoever has `residents` closes those."""

    # ------------------------------------------------------------------ texts

    def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: Purpose) -> Vectors | Awaitable[Vectors]:
        """Return float32 of shape (number of texts, dimensions); a text without anything known has a row of zeros."""
        raise self.cannot("embed", model)

    def generate(self, model: ModelRecord, request: GenerationRequest) -> Events:
        """Go on with the text of the messages, as it stands."""
        raise self.cannot("generate", model)

    def chat(self, model: ModelRecord, request: GenerationRequest) -> Events:
        """Write the assistant's next message."""
        raise self.cannot("chat", model)

    def call_tools(self, model: ModelRecord, request: GenerationRequest) -> Events:
        """Write the assistant's next message, in which it may call `request.tools`."""
        raise self.cannot("call_tools", model)

    def structured(self, model: ModelRecord, request: GenerationRequest) -> Events:
        """Write an object of `request.schema`, as ObjectDeltas."""
        raise self.cannot("structured", model)

    def rewrite(self, model: ModelRecord, text: str, *, prompt: str) -> Events:
        """Rewrite the text as the prompt says."""
        raise self.cannot("rewrite", model)

    def summarise(self, model: ModelRecord, text: str, *, max_tokens: int | None) -> Events:
        """Say briefly what the text says."""
        raise self.cannot("summarise", model)

    def translate(self, model: ModelRecord, text: str, *, source: str, target: str) -> Events:
        """Translate between languages, given by their ISO 639 codes."""
        raise self.cannot("translate", model)

    def answer(
        self, model: ModelRecord, question: str, *, context: str
    ) -> FoundAnswer | Awaitable[FoundAnswer | None] | None:
        """Return the part of the context that answers the question; None when there is none."""
        raise self.cannot("answer", model)

    def classify(self, model: ModelRecord, text: str) -> list[Label] | Awaitable[list[Label]]:
        """Return all classes of the model, the likeliest first."""
        raise self.cannot("classify", model)

    def classify_freely(
        self, model: ModelRecord, text: str, *, labels: Sequence[str]
    ) -> list[Label] | Awaitable[list[Label]]:
        """Return the given labels, the likeliest first."""
        raise self.cannot("classify_freely", model)

    def detect_language(self, model: ModelRecord, text: str) -> list[LanguageGuess] | Awaitable[list[LanguageGuess]]:
        """Return languages, the likeliest first."""
        raise self.cannot("detect_language", model)

    def fill_mask(self, model: ModelRecord, text: str, *, limit: int) -> list[Filling] | Awaitable[list[Filling]]:
        """Return words for the gap, '[MASK]' or the model's own sign, the likeliest first."""
        raise self.cannot("fill_mask", model)

    def recognise_entities(self, model: ModelRecord, text: str) -> list[Entity] | Awaitable[list[Entity]]:
        """Return what has a name, in the order of the text; pieces of one name are joined."""
        raise self.cannot("recognise_entities", model)

    def count_tokens(self, model: ModelRecord, text: str) -> int | Awaitable[int]:
        """Count the tokens that the model sees of the text."""
        raise self.cannot("count_tokens", model)

    # ------------------------------------------------------------------ images, as PIL images of mode RGB

    def describe_image(self, model: ModelRecord, image: Any, *, prompt: str, max_tokens: int | None) -> Events:
        """Say what the image shows."""
        raise self.cannot("describe_image", model)

    def classify_image(self, model: ModelRecord, image: Any) -> list[Label] | Awaitable[list[Label]]:
        """Return all classes of the model, the likeliest first."""
        raise self.cannot("classify_image", model)

    def classify_image_freely(
        self, model: ModelRecord, image: Any, *, labels: Sequence[str]
    ) -> list[Label] | Awaitable[list[Label]]:
        """Return the given labels, the likeliest first."""
        raise self.cannot("classify_image_freely", model)

    def embed_image(self, model: ModelRecord, images: Sequence[Any]) -> Vectors | Awaitable[Vectors]:
        """Return float32 of shape (number of images, dimensions)."""
        raise self.cannot("embed_image", model)

    def detect_objects(
        self, model: ModelRecord, image: Any, *, labels: Sequence[str], threshold: float
    ) -> list[DetectedObject] | Awaitable[list[DetectedObject]]:
        """Return what is there, the surest first, of a score of at least `threshold`.

        `labels` is what to look for; when it is empty, whatever the model knows.
        """
        raise self.cannot("detect_objects", model)

    def segment_image(
        self, model: ModelRecord, image: Any, *, threshold: float, mask_threshold: float
    ) -> list[Segment] | Awaitable[list[Segment]]:
        """Return the parts of a score of at least `threshold`; a mask is white where the model is so sure, or surer."""
        raise self.cannot("segment_image", model)

    def remove_background(self, model: ModelRecord, image: Any) -> Any:
        """Return the image with a transparent background, as a PIL image of mode RGBA."""
        raise self.cannot("remove_background", model)

    def detect_faces(
        self, model: ModelRecord, image: Any, *, min_detection_confidence: float, min_suppression_threshold: float
    ) -> list[DetectedFace] | Awaitable[list[DetectedFace]]:
        """Return the faces; of two that overlap by more than `min_suppression_threshold`, one."""
        raise self.cannot("detect_faces", model)

    def find_face_landmarks(
        self,
        model: ModelRecord,
        image: Any,
        *,
        num_faces: int,
        min_face_detection_confidence: float,
        min_face_presence_confidence: float,
        min_tracking_confidence: float,
        output_face_blendshapes: bool,
        output_facial_transformation_matrixes: bool,
    ) -> list[FaceLandmarks] | Awaitable[list[FaceLandmarks]]:
        """Return the points of at most `num_faces` faces."""
        raise self.cannot("find_face_landmarks", model)

    def find_hand_landmarks(
        self,
        model: ModelRecord,
        image: Any,
        *,
        num_hands: int,
        min_hand_detection_confidence: float,
        min_hand_presence_confidence: float,
        min_tracking_confidence: float,
    ) -> list[HandLandmarks] | Awaitable[list[HandLandmarks]]:
        """Return the points of at most `num_hands` hands."""
        raise self.cannot("find_hand_landmarks", model)

    def find_pose_landmarks(
        self,
        model: ModelRecord,
        image: Any,
        *,
        num_poses: int,
        min_pose_detection_confidence: float,
        min_pose_presence_confidence: float,
        min_tracking_confidence: float,
        output_segmentation_masks: bool,
    ) -> list[PoseLandmarks] | Awaitable[list[PoseLandmarks]]:
        """Return the points of at most `num_poses` bodies."""
        raise self.cannot("find_pose_landmarks", model)

    def recognise_gestures(
        self,
        model: ModelRecord,
        image: Any,
        *,
        num_hands: int,
        min_hand_detection_confidence: float,
        min_hand_presence_confidence: float,
        min_tracking_confidence: float,
    ) -> list[Gesture] | Awaitable[list[Gesture]]:
        """Return the gestures and points of at most `num_hands` hands."""
        raise self.cannot("recognise_gestures", model)

    # ------------------------------------------------------------------ the models themselves

    def download(self, model: ModelRecord, progress: Progress) -> ModelRecord | Awaitable[ModelRecord]:
        """Bring the model's files here, and return its record with them; `progress` raises to give it up."""
        raise self.cannot("download", model)

    def info(self, model: ModelRecord) -> dict[str, Any] | Awaitable[dict[str, Any]]:
        """Say what is known of the model without loading it."""
        raise self.cannot("info", model)

    def search(self, query: str, *, limit: int) -> list[ModelRecord] | Awaitable[list[ModelRecord]]:
        """Find models that could be added to the catalogue; an empty query lists what there is."""
        raise UnsupportedCapabilityError(f"{self.title or self.name} cannot be searched for models.")

    def unload(self, model: ModelRecord) -> None:
        """Take the model out of memory; its files stay.  Nothing happens when it is not loaded."""
        raise self.cannot("unload", model)

    def cannot(self, capability: str, model: ModelRecord) -> UnsupportedCapabilityError:
        """What to raise when the provider cannot do that with the model."""
        what = CAPABILITIES.get(capability, f"{capability} models")
        can = ", ".join(sorted(self.capabilities_of(model) & CAPABILITIES.keys())) or "nothing"
        return UnsupportedCapabilityError(f"The model {model.name!r} cannot {what}.  It can: {can}.")
