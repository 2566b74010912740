"""What the tests of the knowledge room share: a model without weights, PDFs made by hand, a base in a project file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from workglow.file import File
from workglow.knowledge import KnowledgeBase
from workglow.storage.sqlite.knowledge import SqliteKnowledge
from workglow.testing import FakeClock


class WordModel:
    """Each word has a dimension of its own (nearly), so the same words are near; it remembers what it saw."""

    def __init__(self, name: str = "test:words", dimensions: int = 64) -> None:
        self.name = name
        self.dimensions = dimensions
        self.max_tokens = None
        self.seen: list[str] = []

    def count_tokens(self, text: str, /) -> int:
        return len(text.split())

    def embed_sync(self, texts: Sequence[str], /, *, purpose: str = "document") -> np.ndarray:
        self.seen.extend(texts)
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, hashlib.sha256(word.encode()).digest()[0] % self.dimensions] += 1
        return vectors


@pytest.fixture
def model() -> WordModel:
    return WordModel()


@pytest.fixture
def make_model() -> Callable[..., WordModel]:
    return WordModel


@pytest.fixture
def file(tmp_path: Path, clock: FakeClock) -> Iterator[File]:
    with File.open(tmp_path / "notes.wg", clock=clock) as file:
        yield file


@pytest.fixture
def repository(file: File) -> SqliteKnowledge:
    return SqliteKnowledge(file)


@pytest.fixture
def base(repository: SqliteKnowledge, model: WordModel) -> KnowledgeBase:
    return KnowledgeBase(repository, model)


def make_pdf(*pages: str, title: str = "") -> bytes:
    """A PDF with one line of text for each line of a page; an empty page has none, like a scan."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids: list[str] = []
    for page in pages:
        lines = " ".join(f"({line}) Tj T*" for line in page.splitlines())
        stream = f"BT /F1 12 Tf 14 TL 72 720 Td {lines} ET".encode() if page else b""
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        content = len(objects)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % content
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    objects.append(f"<< /Title ({title}) >>".encode())
    data = b"%PDF-1.4\n"
    offsets: list[int] = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return data + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (size, table, size, size - 1, len(data))
    )


@pytest.fixture(name="make_pdf")
def make_pdf_fixture() -> Callable[..., bytes]:
    return make_pdf
