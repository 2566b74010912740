"""Importing the Python files that the user names, so that their tasks are registered.  Never anything a file names."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

__all__ = ["import_tasks"]

_OWN = {__file__, importlib.__file__, "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>"}
"""Where an import passes through whatever goes wrong."""


def import_tasks(named: Iterable[str] | None) -> None:
    """Import each file or module; what cannot be imported is a usage error that says why and where."""
    for name in named or ():
        try:
            if name.endswith(".py") or Path(name).is_file():
                _import_file(Path(name).resolve())
            else:
                if "" not in sys.path:
                    sys.path.insert(0, "")  # an installed command does not look in the current folder
                importlib.import_module(name)
        except Exception as error:
            raise typer.BadParameter(f"{name} cannot be imported: {_said(error)}", param_hint="'--tasks'") from error


def _import_file(path: Path) -> ModuleType:
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    # A file called json.py must not take the place of the module json.
    name = path.stem if known is None and path.stem not in sys.stdlib_module_names else f"tasks_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no Python file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _said(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename not in _OWN]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
