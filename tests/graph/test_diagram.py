"""Diagrams: what a graph looks like, and that no name can break the picture."""

from __future__ import annotations

import pytest

from workglow.graph.building.workflow import Workflow
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.graph import TaskGraph
from workglow.graph.pictures.diagram import mime_bundle
from workglow.tasks import Ports, Task


class Any_(Task):
    type = "AnyTask"
    inputs = Ports(open=True)
    outputs = Ports(open=True)


class Fork(Any_):
    type = "ForkTask"
    exclusive_ports = ("yes", "no")


def test_a_graph_is_drawn_with_its_edges_and_the_graphs_inside():
    inner = TaskGraph()
    inner.add_task(Any_(id="x"))
    graph = TaskGraph()
    graph.add_task(Fork(id="fork"))
    graph.add_task(Any_(id="a", title="a"))
    graph.add_task(GraphAsTask(inner, id="group", title="A group"))
    graph.add_dataflow("fork", "yes", "a", "yes")
    graph.add_dataflow("a", "out", "group", "in", ["uppercase"])
    graph.add_dataflow("a", "*", "group", "*")
    graph.add_dataflow("a", "[error]", "group", "*")
    assert graph.to_mermaid() == (
        "flowchart TD\n"
        '  n0{"fork<br/>ForkTask"}\n'
        '  n1["a"]\n'
        '  subgraph n2["group<br/>A group"]\n'
        '    n2_0["x<br/>AnyTask"]\n'
        "  end\n"
        '  n0 -- "yes" --> n1\n'
        '  n1 -- "out → uppercase → in" --> n2\n'
        "  n1 --> n2\n"
        '  n1 -. "error" .-> n2\n'
    )


def test_boundary_tasks_are_round():
    workflow = Workflow().input().then(Any_).output()
    assert '(["input<br/>InputTask"])' in workflow.graph.to_mermaid()


@pytest.mark.parametrize(
    "name", ['"];click n0 href "javascript:x"', "a\u2028`b`", "<script>&amp;", "#quot;", "end", "\\"]
)
def test_names_cannot_break_out_of_their_label(name: str):
    graph = TaskGraph()
    graph.add_task(Any_(id=name.replace("]", "").replace("[", ""), title=name))
    graph.add_task(Any_(id="b"))
    graph.add_dataflow(next(iter(graph.tasks)), name, "b", name)
    lines = graph.to_mermaid().splitlines()
    assert len(lines) == 4
    for line in lines[1:]:
        assert line.count('"') == 2
        assert not set("`\\") & set(line)
        label = line.split('"')[1].replace("<br/>", "")
        assert not set("<>") & set(label)


def test_the_same_graph_gives_the_same_text():
    def text() -> str:
        workflow = Workflow().then(Any_).then(Any_)
        return workflow.graph.to_mermaid()

    assert text() == text()


def test_a_notebook_shows_a_table_and_a_flowchart():
    graph = TaskGraph()
    graph.add_task(Any_(id="<b>"))
    graph.add_task(Any_(id="c"))
    graph.add_dataflow("<b>", "o", "c", "i")
    bundle = graph._repr_mimebundle_(include=None, exclude=None)
    assert bundle["text/plain"] == "TaskGraph(2 tasks, 1 dataflows)"
    assert "<td>&lt;b&gt;</td>" in bundle["text/html"]
    assert "<td>i ← &lt;b&gt;[o]</td>" in bundle["text/html"]
    assert bundle["text/markdown"] == f"```mermaid\n{graph.to_mermaid()}```\n"
    assert Workflow().then(Any_)._repr_mimebundle_()["text/plain"] == "TaskGraph(1 tasks, 0 dataflows)"


def test_a_notebook_only_counts_a_large_graph():
    graph = TaskGraph()
    for _ in range(201):
        graph.add_task(Any_)
    assert mime_bundle(graph) == {
        "text/plain": "TaskGraph(201 tasks, 0 dataflows)",
        "text/html": "<p>201 tasks, 0 dataflows</p>",
    }
