"""Made by tests/house/task_methods.py; change the tasks instead."""

from collections.abc import Mapping
from typing import Any, Literal, Self, TypedDict, Unpack

from workglow.knowledge.chunking import Chunk
from workglow.knowledge.document import Document
from workglow.knowledge.knowledge_base import KnowledgeBase
from workglow.retry import Retry

__all__ = ["ShippedTasks"]

class TaskOptions(TypedDict, total=False):
    """What every task takes."""

    id: str | None
    title: str
    description: str
    extras: Mapping[str, Any]
    timeout: float
    retry: Retry
    queue: str
    cache: bool

class ShippedTasks:
    """Has a method for each task type that comes with workglow."""
    def agent(
        self,
        *,
        max_turns: int = ...,
        on_limit: Literal["error", "stop"] = ...,
        id: str | None = None,
        **inputs: Any,
    ) -> Self:
        """Let a model work with tools until it has an answer."""

    def ai_chat(
        self,
        *,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        prompt: str | list[str | dict[str, Any]] = ...,
        system: str | None = ...,
        messages: list[dict[str, Any]] = ...,
        max_tokens: int | None = ...,
        temperature: float | None = ...,
        seed: int | None = ...,
        max_iterations: int = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Let a person and a model talk: `text` is the model's last answer, `messages` all that was said."""

    def background_removal(
        self,
        *,
        image: Any = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        roots: tuple[str, ...] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Make the background of an image transparent."""

    def chat_turn(
        self,
        *,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        messages: list[dict[str, Any]] = ...,
        max_tokens: int | None = ...,
        temperature: float | None = ...,
        seed: int | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Write the assistant's next message of a conversation."""

    def count_tokens(
        self,
        *,
        text: str | list[str] = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Count the tokens that a model sees of a text; of several texts, of each."""

    def date_format(
        self,
        *,
        value: str | int | float = ...,
        format: Literal["iso", "date", "time", "datetime", "unix"] = ...,
        locale: Literal["en-US", "iso"] = ...,
        timeZone: str = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Write a date as a text.  One without a time zone is taken as UTC."""

    def debug_log(
        self,
        *,
        log_level: Literal["dir", "log", "debug", "info", "warn", "error"] = ...,
        id: str | None = None,
        **inputs: Any,
    ) -> Self:
        """Shows what passes by, for debugging a graph."""

    def delay(
        self,
        *,
        seconds: float = ...,
        id: str | None = None,
        **inputs: Any,
    ) -> Self:
        """Waits for a number of seconds, then passes its inputs on."""

    def download_model(
        self,
        *,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Bring the files of a model to this machine; what is here already is not transferred again."""

    def face_detector(
        self,
        *,
        image: Any = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        min_detection_confidence: float = ...,
        min_suppression_threshold: float = ...,
        roots: tuple[str, ...] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Find faces in an image: where each is, and where its eyes, nose, mouth and ears are."""

    def face_landmarker(
        self,
        *,
        image: Any = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        num_faces: int = ...,
        min_face_detection_confidence: float = ...,
        min_face_presence_confidence: float = ...,
        min_tracking_confidence: float = ...,
        output_face_blendshapes: bool = ...,
        output_facial_transformation_matrixes: bool = ...,
        roots: tuple[str, ...] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Find the points of faces, and what they express when that is asked for."""

    def file_list(
        self,
        *,
        path: str = ...,
        pattern: str = ...,
        roots: tuple[str, ...] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """List the files of a folder whose names fit a pattern, without hidden ones and links that lead elsewhere."""

    def file_loader(
        self,
        *,
        url: str = ...,
        format: Literal["auto", "text", "markdown", "json", "csv", "pdf", "image", "html"] = ...,
        roots: tuple[str, ...] = ...,
        encoding: str = ...,
        max_bytes: int = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Read a file: text, Markdown with its front matter, JSON, CSV, HTML, or an image or PDF as a data address."""

    def file_saver(
        self,
        *,
        path: str = ...,
        content: str | bytes = ...,
        roots: tuple[str, ...] = ...,
        if_exists: Literal["replace", "append", "error"] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Write a file, whole or not at all: a crash leaves the old one or the new one.  Its folder has to exist."""

    def gesture_recognizer(
        self,
        *,
        image: Any = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        num_hands: int = ...,
        min_hand_detection_confidence: float = ...,
        min_hand_presence_confidence: float = ...,
        min_tracking_confidence: float = ...,
        roots: tuple[str, ...] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Tell what hands say, and find their points."""

    def hand_landmarker(
        self,
        *,
        image: Any = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        num_hands: int = ...,
        min_hand_detection_confidence: float = ...,
        min_hand_presence_confidence: float = ...,
        min_tracking_confidence: float = ...,
        roots: tuple[str, ...] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Find the points of hands, and which hand each is."""

    def human_approval(
        self,
        *,
        prompt: str = ...,
        content_data: dict[str, Any] = ...,
        context: dict[str, Any] = ...,
        message: str = ...,
        target: str = ...,
        metadata: dict[str, Any] = ...,
        deadline: Any = ...,
        default: bool | None = ...,
        id: str | None = None,
        **inputs: Any,
    ) -> Self:
        """Asks a person for approval, and passes its inputs on when it is given."""

    def human_input(
        self,
        *,
        prompt: str = ...,
        content_data: dict[str, Any] = ...,
        context: dict[str, Any] = ...,
        message: str = ...,
        target: str = ...,
        metadata: dict[str, Any] = ...,
        deadline: Any = ...,
        content_schema: dict[str, Any] = ...,
        kind: Literal["notify", "display", "elicit"] = ...,
        mode: Literal["single", "multi-turn"] = ...,
        default: dict[str, Any] | None = ...,
        id: str | None = None,
        **inputs: Any,
    ) -> Self:
        """Asks a person, and waits for the answer."""

    def image_classification(
        self,
        *,
        image: Any = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        categories: list[str] = ...,
        max_categories: int = ...,
        roots: tuple[str, ...] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Say what an image shows: classes and how sure the model is of each, the likeliest first."""

    def image_embedding(
        self,
        *,
        image: Any = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        roots: tuple[str, ...] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Turn an image into a vector of unit length; several images into a matrix with a row for each."""

    def image_segmentation(
        self,
        *,
        image: Any = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        threshold: float = ...,
        mask_threshold: float = ...,
        roots: tuple[str, ...] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Tell the parts of an image apart, such as a person and what is behind: each has a mask of the same size."""

    def image_to_text(
        self,
        *,
        image: Any = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        prompt: str = ...,
        max_tokens: int | None = ...,
        roots: tuple[str, ...] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Describe an image.  The text of one image comes piece by piece; those of several come together at the end."""

    def java_script(
        self,
        *,
        javascript_code: str | None = ...,
        time_limit: float = ...,
        memory_limit: int = ...,
        id: str | None = None,
        **inputs: Any,
    ) -> Self:
        """Run a script that sees the other inputs as global variables; the value of its last expression is the output."""

    def join_text(
        self,
        *,
        text: list[str] = ...,
        gaps: list[str] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Put the pieces of a text together, with what stood between them."""

    def json_parse(
        self,
        *,
        text: str = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Read a text as JSON."""

    def json_path(
        self,
        *,
        value: Any = ...,
        path: str = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Follow a path such as `customers.0.name` or `customers.*.name` into a value."""

    def json(
        self,
        *,
        json: str = ...,
        id: str | None = None,
        **inputs: Any,
    ) -> Self:
        """Run the graph that a JSON text describes; the other inputs are the graph's."""

    def load_document(
        self,
        *,
        path: str = ...,
        media_type: str | None = ...,
        encoding: str | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Read a text, Markdown, HTML or PDF file."""

    def merge(
        self,
        *,
        id: str | None = None,
        **inputs: Any,
    ) -> Self:
        """Gather all inputs in one list, in the order of their names: `input_2` goes before `input_10`."""

    def model_info(
        self,
        *,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        detail: Literal["cached_status", "files", "files_with_metadata", "dimensions"] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Say what is known of a model without loading it."""

    def model_search(
        self,
        *,
        provider: str = ...,
        query: str = ...,
        limit: int = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Look for models, in the project's catalogue or with a provider."""

    def object_detection(
        self,
        *,
        image: Any = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        labels: list[str] = ...,
        threshold: float = ...,
        roots: tuple[str, ...] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Find objects in an image: what each is, how sure the model is, and where it is, the surest first."""

    def pose_landmarker(
        self,
        *,
        image: Any = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        num_poses: int = ...,
        min_pose_detection_confidence: float = ...,
        min_pose_presence_confidence: float = ...,
        min_tracking_confidence: float = ...,
        output_segmentation_masks: bool = ...,
        roots: tuple[str, ...] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Find the points of bodies, and their outlines when that is asked for."""

    def postgres_query(
        self,
        *,
        sql: str = ...,
        parameters: list[Any] = ...,
        dsn_variable: str = ...,
        time_limit: float = ...,
        max_rows: int = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Ask a Postgres database: one statement with bound parameters, in a transaction that cannot write."""

    def postgres_write(
        self,
        *,
        sql: str = ...,
        parameters: list[Any] = ...,
        rows: list[list[Any]] | None = ...,
        dsn_variable: str = ...,
        time_limit: float = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Change a Postgres database with one statement, or the same for many rows: all of it is done, or nothing."""

    def regex(
        self,
        *,
        value: str = ...,
        pattern: str = ...,
        flags: str = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Look for a regular expression in a text."""

    def scalar_abs(
        self,
        *,
        value: int | float = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The number without its sign."""

    def scalar_add(
        self,
        *,
        a: int | float = ...,
        b: int | float = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """a plus b."""

    def scalar_ceil(
        self,
        *,
        value: int | float = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The smallest whole number that is not below the value."""

    def scalar_divide(
        self,
        *,
        a: int | float = ...,
        b: int | float = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """a divided by b; dividing by zero is an error."""

    def scalar_floor(
        self,
        *,
        value: int | float = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The largest whole number that is not above the value."""

    def scalar_max(
        self,
        *,
        values: list[int | float] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The largest of the values."""

    def scalar_min(
        self,
        *,
        values: list[int | float] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The smallest of the values."""

    def scalar_multiply(
        self,
        *,
        a: int | float = ...,
        b: int | float = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """a times b."""

    def scalar_round(
        self,
        *,
        value: int | float = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The nearest whole number; halves go up, so 2.5 gives 3 and -2.5 gives -2."""

    def scalar_subtract(
        self,
        *,
        a: int | float = ...,
        b: int | float = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """a minus b."""

    def scalar_sum(
        self,
        *,
        values: list[int | float] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The sum of all values, rounded once; of none it is 0."""

    def scalar_trunc(
        self,
        *,
        value: int | float = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The value without its fraction."""

    def search_knowledge(
        self,
        *,
        query: str = ...,
        knowledge_base: str | KnowledgeBase = ...,
        limit: int = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Find the chunks that fit the query best, by meaning and by words."""

    def split_document(
        self,
        *,
        document: Document = ...,
        model: str = ...,
        size: int = ...,
        overlap: int = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Cut a document into chunks of at most `size` of the model's tokens; `text` is what to embed."""

    def split(
        self,
        *,
        input: Any = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Give each item of a list an output of its own: `output_0`, `output_1`, …"""

    def split_text(
        self,
        *,
        text: str = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        size: int | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Cut a text into pieces that a model can read, and answer as long: at paragraphs, else sentences, else words."""

    def sqlite_query(
        self,
        *,
        path: str = ...,
        sql: str = ...,
        parameters: list[str | int | float | bool | bytes | None] | dict[str, str | int | float | bool | bytes | None] = ...,
        roots: tuple[str, ...] = ...,
        max_rows: int = ...,
        time_limit: float = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Ask an SQLite file.  It is opened for reading only, and one statement is run with bound parameters."""

    def sqlite_write(
        self,
        *,
        path: str = ...,
        sql: str = ...,
        parameters: list[str | int | float | bool | bytes | None] | dict[str, str | int | float | bool | bytes | None] = ...,
        rows: list[list[str | int | float | bool | bytes | None] | dict[str, str | int | float | bool | bytes | None]] | None = ...,
        roots: tuple[str, ...] = ...,
        create: bool = ...,
        time_limit: float = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Change an SQLite file with one statement, or the same for many rows: all of it is done, or nothing."""

    def store_document(
        self,
        *,
        document: Document = ...,
        chunks: list[Chunk] = ...,
        vector: Any = ...,
        knowledge_base: str = ...,
        model: str | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Store a document with its chunks and their vectors, in place of an earlier one of the same name."""

    def string_concat(
        self,
        *,
        id: str | None = None,
        **inputs: Any,
    ) -> Self:
        """Put texts together, in the order of the names of their inputs: `text_2` goes before `text_10`."""

    def string_includes(
        self,
        *,
        text: str = ...,
        search: str = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Say whether a text contains another one."""

    def string_join(
        self,
        *,
        texts: list[str] = ...,
        separator: str = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Join a list of texts."""

    def string_length(
        self,
        *,
        text: str = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Count the characters of a text."""

    def string_lower_case(
        self,
        *,
        text: str = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Write a text in lower case."""

    def string_replace(
        self,
        *,
        text: str = ...,
        search: str = ...,
        replace: str = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Replace all occurrences of a text in another one; nothing in either is special."""

    def string_slice(
        self,
        *,
        text: str = ...,
        start: int = ...,
        end: int | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Take a part of a text."""

    def string_template(
        self,
        *,
        template: str = ...,
        values: dict[str, Any] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Fill in a text: as TemplateTask does, with the output called `text`."""

    def string_trim(
        self,
        *,
        text: str = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Remove white space at both ends of a text."""

    def string_upper_case(
        self,
        *,
        text: str = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Write a text in upper case."""

    def structured_generation(
        self,
        *,
        prompt: str = ...,
        output_schema: Any = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        system: str | None = ...,
        max_retries: int = ...,
        max_tokens: int | None = ...,
        temperature: float | None = ...,
        seed: int | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Write an object that fits a JSON Schema."""

    def template(
        self,
        *,
        template: str = ...,
        values: dict[str, Any] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Fill in a text: `{{name}}`, `{{customer.name}}`, `{{name|what stands there without a value}}`."""

    def text_classification(
        self,
        *,
        text: str | list[str] = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        candidate_labels: list[str] | None = ...,
        max_categories: int = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Sort a text into classes, the likeliest first; several texts give a list for each."""

    def text_embedding(
        self,
        *,
        text: str | list[str] = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        purpose: Literal["document", "query"] = ...,
        dimensions: int | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Turn a text into a vector of unit length; several texts into a matrix with a row for each."""

    def text_fill_mask(
        self,
        *,
        text: str = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        max_predictions: int = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Find words for the gap in a text, the likeliest first: each with how sure the model is, and the text with it."""

    def text_generation(
        self,
        *,
        prompt: str = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        system: str | None = ...,
        top_p: float | None = ...,
        frequency_penalty: float | None = ...,
        presence_penalty: float | None = ...,
        stop: list[str] = ...,
        max_tokens: int | None = ...,
        temperature: float | None = ...,
        seed: int | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Answer a prompt."""

    def text_language_detection(
        self,
        *,
        text: str | list[str] = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        max_languages: int = ...,
        score_threshold: float = ...,
        allow_list: list[str] = ...,
        block_list: list[str] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Tell the language of a text, the likeliest first; several texts give a list for each."""

    def text_named_entity_recognition(
        self,
        *,
        text: str | list[str] = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        block_list: list[str] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Find the names in a text: of people, organizations, places; several texts give a list for each."""

    def text_question_answer(
        self,
        *,
        context: str = ...,
        question: str = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        max_tokens: int | None = ...,
        temperature: float | None = ...,
        seed: int | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Answer a question from a context."""

    def text_rewriter(
        self,
        *,
        text: str = ...,
        prompt: str = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        max_tokens: int | None = ...,
        temperature: float | None = ...,
        seed: int | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Rewrite a text as `prompt` says."""

    def text_summary(
        self,
        *,
        text: str = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        length: Literal["short", "medium", "long"] = ...,
        style: Literal["text", "bullets", "headline"] = ...,
        focus: str = ...,
        max_tokens: int | None = ...,
        temperature: float | None = ...,
        seed: int | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Say briefly what a text says."""

    def text_translation(
        self,
        *,
        text: str = ...,
        source_lang: str | None = ...,
        target_lang: str = ...,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        max_tokens: int | None = ...,
        temperature: float | None = ...,
        seed: int | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Translate a text into the language `target_lang`."""

    def tool_calling(
        self,
        *,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        prompt: str | list[str | dict[str, Any]] = ...,
        tools: list[str | dict[str, Any]] = ...,
        system: str | None = ...,
        messages: list[dict[str, Any]] = ...,
        tool_choice: str = ...,
        max_tokens: int | None = ...,
        temperature: float | None = ...,
        seed: int | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Let a model answer, or say which tools it wants called with what."""

    def unload_model(
        self,
        *,
        model: str | dict[str, Any] | list[str | dict[str, Any]] = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Take a model out of the memory of this process; its files stay."""

    def vector_distance(
        self,
        *,
        vectors: Any = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The Euclidean distance between the first two vectors."""

    def vector_divide(
        self,
        *,
        vectors: Any = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The first vector divided by all others, element by element; dividing by zero is an error."""

    def vector_dot_product(
        self,
        *,
        vectors: Any = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The dot product of the first two vectors, rounded once after the products."""

    def vector_multiply(
        self,
        *,
        vectors: Any = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The product of all vectors, element by element."""

    def vector_normalize(
        self,
        *,
        vector: Any = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The vector of length 1 in the same direction; a vector of zeros has none, and is an error."""

    def vector_scale(
        self,
        *,
        vector: Any = ...,
        scalar: int | float = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """A vector times a number."""

    def vector_subtract(
        self,
        *,
        vectors: Any = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The first vector minus all others."""

    def vector_sum(
        self,
        *,
        vectors: Any = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """The sum of all vectors, each element rounded once."""

    def wait_for_event(
        self,
        *,
        event: str = ...,
        default: Any = ...,
        id: str | None = None,
        **inputs: Any,
    ) -> Self:
        """Waits until an event is sent, then passes its inputs and the event's payload on."""

    def wait_until(
        self,
        *,
        at: Any = ...,
        id: str | None = None,
        **inputs: Any,
    ) -> Self:
        """Waits until a date and time, then passes its inputs on."""

    def add(
        self,
        *,
        a: int | float = ...,
        b: int | float = ...,
        vectors: Any = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Add a ScalarAddTask, or a VectorSumTask when vectors come in."""

    def subtract(
        self,
        *,
        a: int | float = ...,
        b: int | float = ...,
        vectors: Any = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Add a ScalarSubtractTask, or a VectorSubtractTask when vectors come in."""

    def multiply(
        self,
        *,
        a: int | float = ...,
        b: int | float = ...,
        vectors: Any = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Add a ScalarMultiplyTask, or a VectorMultiplyTask when vectors come in."""

    def divide(
        self,
        *,
        a: int | float = ...,
        b: int | float = ...,
        vectors: Any = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Add a ScalarDivideTask, or a VectorDivideTask when vectors come in."""

    def sum(
        self,
        *,
        values: list[int | float] = ...,
        vectors: Any = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Add a ScalarSumTask, or a VectorSumTask when vectors come in."""
