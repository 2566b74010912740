"""Which files of a repository a name means."""

from __future__ import annotations

import string
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workglow.ai.gguf_files import GgufName, chosen, gguf_name, quantization_of
from workglow.errors import UnknownModelError

BOTH = ["README.md", "small-Q4_K_M.gguf", "small-Q8_0.gguf", "mmproj-small-f16.gguf", "small.imatrix.gguf"]
PARTS = [f"Q8_0/large-Q8_0-0000{number}-of-00003.gguf" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("me/small-GGUF", GgufName("me/small-GGUF")),
        ("me/small.v2-GGUF:q4_k_m", GgufName("me/small.v2-GGUF", wanted="q4_k_m")),
        ("me/small:UD-Q4_K_XL", GgufName("me/small", wanted="UD-Q4_K_XL")),
        ("me/small/one.gguf", GgufName("me/small", file="one.gguf")),
        ("me/small/q4/one.gguf", GgufName("me/small", file="q4/one.gguf")),
        ("me/small:q4/one.gguf", GgufName("me/small", file="q4/one.gguf")),
        ("models/one.gguf", None),
        ("one.gguf", None),
        ("package_name", None),
        ("/me/small", None),
        ("./me/small", None),
        ("~/me/small.gguf", None),
        ("../small", None),
        ("me/..", None),
        ("me/small/deeper", None),
        ("https://example.com/one.gguf", None),
        ("me/small two", None),
    ],
)
def test_names_of_repositories_are_told_from_paths(source: str, name: GgufName | None) -> None:
    assert gguf_name(source) == name


@pytest.mark.parametrize(
    ("file", "quantization"),
    [
        ("SmolLM2-135M-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("llama-2-7b.Q5_K_S.gguf", "Q5_K_S"),
        ("model_q8_0.gguf", "Q8_0"),
        ("Qwen3-4B-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("m-IQ4_XS.gguf", "IQ4_XS"),
        ("m.bf16.gguf", "BF16"),
        ("m-fp16.gguf", "FP16"),
        ("m-F16-00001-of-00002.gguf", "F16"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("tq/m-TQ1_0.gguf", "TQ1_0"),
        ("Q6_K/weights-00001-of-00002.gguf", "Q6_K"),
        ("q8_0.gguf", "Q8_0"),
        ("weights.gguf", ""),
        ("Qwen3-4B.gguf", ""),
    ],
)
def test_what_a_file_is_quantised_to_is_read_off_its_name(file: str, quantization: str) -> None:
    assert quantization_of(file) == quantization


@pytest.mark.parametrize(
    ("source", "files", "expected"),
    [
        ("me/small", BOTH, ["small-Q4_K_M.gguf"]),
        ("me/small", ["small-Q2_K.gguf", "mmproj-f16.gguf"], ["small-Q2_K.gguf"]),
        ("me/small", PARTS, PARTS),
        ("me/small:q8_0", BOTH, ["small-Q8_0.gguf"]),
        ("me/small:Q8_0", [*reversed(PARTS), "large-Q4_K_M.gguf"], PARTS),
        ("me/small:Q4_K", ["a-Q4_K.gguf", "a-Q4_K_M.gguf", "a-Q4_K_S.gguf"], ["a-Q4_K.gguf"]),
        ("me/small:Q4_K_XL", ["a-UD-Q4_K_XL.gguf", "a-UD-Q5_K_XL.gguf"], ["a-UD-Q4_K_XL.gguf"]),
        ("me/small:chat", ["small-chat-Q8_0.gguf", "small-base-Q8_0.gguf"], ["small-chat-Q8_0.gguf"]),
        ("me/small/small-Q8_0.gguf", BOTH, ["small-Q8_0.gguf"]),
        ("me/small/mmproj-small-f16.gguf", BOTH, ["mmproj-small-f16.gguf"]),
        (f"me/small/{PARTS[0]}", PARTS, PARTS),
    ],
)
def test_the_files_that_a_name_means(source: str, files: list[str], expected: list[str]) -> None:
    name = gguf_name(source)
    assert name is not None
    assert chosen(name, files) == tuple(expected)


@pytest.mark.parametrize(
    ("source", "files", "said"),
    [
        ("me/small:Q5_K_M", BOTH, "does not have 'Q5_K_M'; it has Q4_K_M, Q8_0.  Name one: 'gguf:me/small:Q4_K_M'."),
        ("me/small:Q4_K", BOTH, "does not have 'Q4_K'; it has Q4_K_M, Q8_0"),
        ("me/small", ["a-Q2_K.gguf", "a-Q8_0.gguf"], "several models, none of them Q4_K_M: Q2_K, Q8_0.  Name one: "),
        ("me/small/other.gguf", BOTH, "does not have 'other.gguf'; it has small-Q4_K_M.gguf, small-Q8_0.gguf"),
        ("me/small", ["a-Q4_K_M.gguf", "b-Q4_K_M.gguf"], "'gguf:me/small/a-Q4_K_M.gguf'"),
        ("me/small:Q8_0", ["a-Q8_0.gguf", "b-Q8_0.gguf"], "'Q8_0' could mean: a-Q8_0.gguf, b-Q8_0.gguf.  Name one: "),
        ("me/small", ["README.md", "model.safetensors"], "has no .gguf file"),
        ("me/small:Q8_0", PARTS[:2], "has no .gguf file, or not all parts of one"),
        ("me/small:Q8_0", [*PARTS[1:], "large-Q4_0.gguf"], "does not have 'Q8_0'; it has Q4_0"),
    ],
)
def test_what_is_not_there_or_could_be_several_is_said(source: str, files: list[str], said: str) -> None:
    name = gguf_name(source)
    assert name is not None
    with pytest.raises(UnknownModelError) as raised:
        chosen(name, files)
    assert said in str(raised.value)


WORDS = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=8)


@given(st.dictionaries(WORDS, st.integers(1, 3), min_size=1, max_size=4), st.randoms())
def test_every_file_that_is_listed_can_be_named(models: dict[str, int], random: Random) -> None:
    files: list[str] = []
    whole: dict[str, tuple[str, ...]] = {}
    for stem, count in models.items():
        names = [f"{stem}-{at:05}-of-{count:05}.gguf" if count > 1 else f"{stem}.gguf" for at in range(1, count + 1)]
        files += names
        whole |= dict.fromkeys(names, tuple(names))
    random.shuffle(files)
    for file in files:
        assert chosen(GgufName("me/small", file=file), files) == whole[file]
