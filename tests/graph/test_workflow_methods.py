"""The typed methods of shipped tasks: the stub is current, and a checker knows what it says."""

from __future__ import annotations

import importlib.util
import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workglow import Workflow
from workglow.graph.naming import method_name

ROOT = Path(__file__).parents[2]
STUB = ROOT / "workglow" / "graph" / "building" / "shipped.pyi"

PROGRAM = """\
from workglow import Condition, Workflow

workflow = Workflow().text_embedding(model="local:wordllama", title="Embed")
reveal_type(workflow)
with workflow.map(max_iterations=3) as body:
    reveal_type(body.text_embedding(text=["a"]).then(len))
reveal_type(workflow.if_(Condition(field="a", operator="is_true")).load_document(path="a.md").end_if())
workflow.text_embedding(model=3)
workflow.text_embedding(modl="local:wordllama")
"""


def writer() -> Any:
    path = ROOT / "tests" / "house" / "task_methods.py"
    spec = importlib.util.spec_from_file_location("task_methods", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_stub_is_what_the_registry_says() -> None:
    made = writer()
    assert STUB.read_text("utf-8") == made.stub().rstrip("\n") + "\n", (
        "run: python tests/house/task_methods.py > workglow/graph/building/shipped.pyi"
    )
    for name, kind in made.shipped():
        assert inspect.isfunction(getattr(Workflow(), name))
        assert f"def {name}(" in STUB.read_text("utf-8")
        assert method_name(kind.type) == name


def test_a_keyword_of_python_gets_a_line_under_it() -> None:
    assert method_name("LambdaTask") == "lambda_"
    assert method_name("TextEmbeddingTask") == "text_embedding"


@pytest.mark.skipif(shutil.which("basedpyright") is None, reason="needs basedpyright")
def test_a_checker_knows_the_methods(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, "utf-8")
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"include": [str(program)], "extraPaths": [str(ROOT)], "typeCheckingMode": "standard"}), "utf-8"
    )
    command = ["basedpyright", "--pythonpath", sys.executable, "--outputjson", "-p", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    found = json.loads(done.stdout)["generalDiagnostics"]
    said = [(one["range"]["start"]["line"] + 1, one["severity"], one["message"]) for one in found]
    known = [message for line, severity, message in said if severity == "information"]
    assert [message.rpartition(" is ")[2] for message in known] == ['"Workflow"'] * 3
    errors = {line: message for line, severity, message in said if severity == "error"}
    assert sorted(errors) == [8, 9]
    assert '"model"' in errors[8]
    assert '"modl"' in errors[9]
