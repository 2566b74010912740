"""A knowledge base: what goes in, what is embedded again and what not, and what a search finds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workglow.ai import Model, ModelRecord, Provider
from workglow.errors import DocumentError, KnowledgeError, UnknownModelError
from workglow.file import File
from workglow.knowledge import Document, KnowledgeBase, open_knowledge_base
from workglow.knowledge.fusion import reciprocal_rank_score
from workglow.storage.sqlite.knowledge import SqliteKnowledge


def test_all_four_formats_are_added_and_found(
    base: KnowledgeBase, tmp_path: Path, make_pdf: Callable[..., bytes]
) -> None:
    (tmp_path / "a.txt").write_text("Apples grow on trees.")
    (tmp_path / "b.md").write_text("# Fruit\n\nBananas are yellow.")
    (tmp_path / "c.html").write_text("<title>Citrus</title><h1>Sour</h1><p>Lemons are sour.</p>")
    (tmp_path / "d.pdf").write_bytes(make_pdf("Dates are sweet.", title="Desert"))
    (tmp_path / "e.pdf").write_bytes(b"no pdf")
    added = base.add_folder(tmp_path)
    assert [one.status for one in added] == ["added"] * 4 + ["failed"]
    assert "e.pdf cannot be read as a PDF" in added[-1].reason
    for query, title, place in [
        ("apples", str(tmp_path / "a.txt"), ""),
        ("banana", "Fruit", "Fruit"),
        ("lemon", "Citrus", "Sour"),
        ("dates", "Desert", "page 1"),
    ]:
        best = base.search(query)[0]
        assert (best.title, best.place) == (title, place)
    assert len(base) == 4
    assert {one.status for one in base.add_folder(tmp_path)} == {"unchanged", "failed"}
    assert "more than the 5 allowed" in base.add_folder(tmp_path, max_bytes=5)[0].reason


def test_a_result_says_where_it_is(base: KnowledgeBase) -> None:
    text = "# One\n\nAlpha beta.\n\n# Two\n\nGamma delta."
    document = Document("x", text, title="Letters")
    base.add(document)
    (result,) = base.search("gamma", limit=1)
    assert text[result.start : result.end] == result.text
    assert (result.document, result.title, result.vector_rank, result.word_rank) == ("x", "Letters", 1, 1)
    assert result.score == reciprocal_rank_score(1, 1) == 2 / 61


def test_only_what_changed_is_embedded_again(
    base: KnowledgeBase, repository: SqliteKnowledge, model: Any, tmp_path: Path
) -> None:
    path = tmp_path / "guide.md"
    path.write_text("# A\n\nalpha\n\n# B\n\nbeta\n\n# C\n\ngamma")
    assert base.add(path).embedded == 3
    model.seen.clear()
    assert base.add(path).status == "unchanged"
    assert model.seen == []
    path.write_text("# New\n\nintro\n\n# A\n\nalpha\n\n# B\n\nBETA\n\n# C\n\ngamma")
    added = base.add(path)
    assert (added.status, added.chunks, added.embedded) == ("replaced", 4, 2)
    assert model.seen == ["New\n# New\n\nintro", "B\n# B\n\nBETA"]
    for chunk, vector in repository.chunks("default", str(path)):
        assert np.allclose(vector, model.embed_sync([f"{chunk.place}\n{chunk.text}"])[0])


def test_what_a_document_is_called_or_says_of_itself_counts_as_a_change(base: KnowledgeBase) -> None:
    assert base.add(Document("x", "text")).status == "added"
    assert base.add(Document("x", "text", title="Better")).status == "replaced"
    assert base.add(Document("x", "text", title="Better", metadata={"a": 1})).status == "replaced"
    assert base.add(Document("x", "text", title="Better", metadata={"a": 1})).status == "unchanged"
    assert base.documents()[0].record.metadata == {"a": 1}


def test_other_chunk_sizes_count_as_a_change(repository: SqliteKnowledge, model: Any) -> None:
    document = Document("x", "One two three four. " * 30)
    assert KnowledgeBase(repository, model, chunk_size=64).add(document).chunks == 2
    smaller = KnowledgeBase(repository, model, chunk_size=32)
    assert (smaller.add(document).status, len(smaller)) == ("replaced", 4)


def test_a_document_is_removed_and_not_found_any_more(base: KnowledgeBase) -> None:
    base.add(Document("x", "alpha"))
    assert base.remove("x")
    assert base.remove("x") is False
    assert (base.search("alpha"), base.documents(), len(base)) == ([], [], 0)


def test_a_document_that_cannot_be_read_leaves_the_earlier_version(base: KnowledgeBase, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("alpha")
    base.add(path)
    path.write_bytes(b"\xff\xff")
    with pytest.raises(DocumentError):
        base.add(path)
    assert base.search("alpha")[0].text == "alpha"


def test_an_empty_search_is_refused(base: KnowledgeBase) -> None:
    for text in ("", " \n\t"):
        with pytest.raises(KnowledgeError, match="search text is empty"):
            base.search(text)
    for limit in (0, 1001):
        with pytest.raises(KnowledgeError, match="gives 1 to 1000 results"):
            base.search("x", limit=limit)


def test_searching_where_nothing_is_finds_nothing_and_writes_nothing(base: KnowledgeBase, file: File) -> None:
    before = file.db.total_changes()
    assert base.search("x") == []
    assert (base.documents(), len(base), base.remove("x")) == ([], 0, False)
    assert file.db.total_changes() == before
    assert base  # empty, but there


def test_the_very_word_comes_before_what_only_seems_near(base: KnowledgeBase, model: Any) -> None:
    numbers = map(str, range(1000))
    twin = next(one for one in numbers if np.array_equal(model.embed_sync([one]), model.embed_sync(["0x80070005"])))
    for number in range(80):
        base.add(Document(f"near {number}", f"{twin} " * (number + 1)))
    base.add(Document("very word", "zzz " * 100 + "code 0x80070005"))
    first, second, *_ = base.search("0x80070005")
    assert (first.document, first.vector_rank, first.word_rank) == ("very word", None, 1)
    assert (second.vector_rank, second.word_rank) == (1, None)


def test_equal_scores_are_in_a_fixed_order(base: KnowledgeBase) -> None:
    for name in ("b", "a", "c"):
        base.add(Document(name, "same text"))
    assert [one.document for one in base.search("same")] == [one.document for one in base.search("same")]
    assert len(base.search("same", limit=2)) == 2


WORDS = ["alpha", "beta", "gamma", "near", "AND", "OR", "NOT", "NEAR", "(", ")", '"', "*", "^", "-",
         ":", "+", "text", "\0", " ", ","]  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from(WORDS), min_size=1, max_size=12))
def test_nothing_in_a_search_is_a_command(base: KnowledgeBase, pieces: list[str]) -> None:
    texts = {"one": "alpha", "two": "beta near", "three": "gamma not"}
    for name, text in texts.items():
        base.add(Document(name, text))
    query = "".join(pieces)
    if not query.strip():
        return
    sought = set(re.findall("[a-z]+", query.lower()))
    expected = {name for name, text in texts.items() if sought & set(text.split())}
    found = {one.document for one in base.search(query, limit=100) if one.word_rank is not None}
    assert found == expected


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(), min_size=1, max_size=200))
def test_any_search_text_is_answered(base: KnowledgeBase, text: str) -> None:
    base.add(Document("x", "alpha"))
    if text.strip():
        assert len(base.search(text)) <= 1


def test_a_search_as_long_as_a_book_is_answered(base: KnowledgeBase) -> None:
    base.add(Document("x", "alpha"))
    assert base.search("alpha " + "word" * 100_000 + " other" * 100_000)[0].document == "x"


def test_another_model_is_refused_and_none_takes_the_one_of_the_base(
    repository: SqliteKnowledge, make_model: Callable[..., Any]
) -> None:
    KnowledgeBase(repository, make_model("test:one")).add(Document("x", "alpha"))
    for other in (make_model("test:two"), make_model("test:one", 32)):
        with pytest.raises(KnowledgeError, match="holds vectors of 'test:one'"):
            KnowledgeBase(repository, other)
    assert (
        KnowledgeBase(repository, make_model("test:two"), name="second").add(Document("x", "alpha")).status == "added"
    )
    with pytest.raises(UnknownModelError, match="'test:one'"):
        KnowledgeBase(repository)


def test_a_base_that_changed_its_model_meanwhile_is_not_searched(
    repository: SqliteKnowledge, make_model: Callable[..., Any]
) -> None:
    base = KnowledgeBase(repository, make_model("test:one"))
    base.add(Document("x", "alpha"))
    repository.delete_base("default")
    KnowledgeBase(repository, make_model("test:two")).add(Document("x", "alpha"))
    for action in (lambda: base.search("alpha"), lambda: base.add(Document("y", "beta"))):
        with pytest.raises(KnowledgeError, match="holds vectors of 'test:two'"):
            action()


def test_a_model_behind_a_network_works_as_well(repository: SqliteKnowledge, make_model: Callable[..., Any]) -> None:
    plain = make_model()

    class Remote(Provider):
        name = "remote"

        def count_tokens(self, model: ModelRecord, text: str) -> int:
            return plain.count_tokens(text)

        async def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: str) -> np.ndarray:
            await asyncio.sleep(0)
            plain.seen.append(purpose)
            return plain.embed_sync(texts)

    record = ModelRecord(name="remote:words", provider="remote", context_length=32)
    base = KnowledgeBase(repository, Model(record, Remote()))
    base.add(Document("x", "alpha " * 50))
    assert len(base) == 2  # the model reads 32 tokens, so no chunk is longer
    assert base.search("alpha")[0].document == "x"
    assert plain.seen[0] == "document"
    assert "query" in plain.seen


@pytest.mark.extra("local")
@pytest.mark.skipif(find_spec("wordllama") is None, reason="needs wordllama: pip install 'workglow[local]'")
def test_the_default_model_finds_by_meaning_what_shares_no_word(file: File) -> None:
    base = open_knowledge_base(file)
    for name, text in {
        "cars": "The automobile would not start because its battery was empty.",
        "cooking": "Simmer the tomatoes with garlic and basil for an hour.",
        "law": "The court dismissed the appeal on procedural grounds.",
        "space": "The telescope photographed a distant galaxy.",
    }.items():
        base.add(Document(name, text))
    assert base.model.name == "local:wordllama"
    for query, name in {"vehicle trouble": "cars", "recipe for pasta sauce": "cooking", "astronomy": "space"}.items():
        best = base.search(query)[0]
        assert (best.document, best.vector_rank, best.word_rank) in {(name, 1, None), (name, 1, 1)}
    assert open_knowledge_base(file).search("judge")[0].document == "law"


def test_threads_may_share_a_base(base: KnowledgeBase) -> None:
    def work(name: str) -> int:
        for number in range(10):
            base.add(Document(f"{name} {number}", "some words here " * 200))
        return len(base.search("words", limit=50))

    with ThreadPoolExecutor(4) as pool:
        assert min(pool.map(work, "abcd")) >= 10
    assert len(base.documents()) == 40
