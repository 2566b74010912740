"""The SVG picture of a graph: it is well formed, nothing covers anything, and every edge leads down."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow import Condition, TaskGraph, Workflow
from workglow.graph.pictures.layout import FALL, GAP, Box, Layout, lay_out
from workglow.tasks import Ports, Task

SVG = "{http://www.w3.org/2000/svg}"


class Anything(Task):
    """Takes and gives anything."""

    type = "DrawnAnything"
    inputs = Ports(open=True)
    outputs = Ports(open=True)


def drawn(graph: Any) -> ElementTree.Element:
    return ElementTree.fromstring(getattr(graph, "graph", graph).to_svg())


def found(root: ElementTree.Element, tag: str, style: str) -> list[ElementTree.Element]:
    return [one for one in root.iter(f"{SVG}{tag}") if one.get("class", "").split()[:1] == [style]]


def place(box: ElementTree.Element) -> tuple[float, float, float, float]:
    x, y, width, height = (float(box.get(name, "nan")) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def inside(inner: ElementTree.Element, outer: ElementTree.Element) -> bool:
    left, top, right, bottom = place(inner)
    return place(outer)[0] < left and place(outer)[1] < top and right < place(outer)[2] and bottom < place(outer)[3]


def test_what_is_drawn() -> None:
    workflow = Workflow().input().then(Anything, id="one", title="First")
    workflow.if_(Condition(field="a", operator="is_true")).then(Anything, id="yes").end_if()
    workflow.on_error(Anything, id="rescue")
    with workflow.map(id="each") as body:
        body.then(Anything, id="inner").then(Anything, id="more")
    workflow.output()
    root = drawn(workflow)
    texts = ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]
    assert {"one", "First · DrawnAnything", "yes", "inner"} <= set(texts)
    assert "eachMapTask" in texts
    assert "then" in texts
    assert "error" in texts
    assert len(found(root, "rect", "pill")) == 2
    assert len(found(root, "rect", "fork")) == 1
    (nest,) = found(root, "rect", "nest")
    boxes = [box for box in found(root, "rect", "box") if inside(box, nest)]
    assert len(boxes) == 2
    assert len([one for one in root.iter(f"{SVG}path") if one.get("class") == "edge error"]) == 1


def test_the_same_graph_gives_the_same_picture() -> None:
    workflow = Workflow().then(Anything).then(Anything)
    assert workflow.graph.to_svg() == workflow.to_graph().to_svg()
    assert ElementTree.fromstring(TaskGraph().to_svg()).get("width") == "48"


@pytest.mark.parametrize("text", ['<script>alert("x")</script>', "a&b", "日本語のタスク", "x" * 300, "a\u202eb"])
def test_names_that_mean_harm_are_only_text(text: str) -> None:
    graph = TaskGraph()
    graph.add_task(Anything(id="harmless", title=text))
    graph.add_task(Anything(id=text.replace("/", "") or "x"))
    graph.connect("harmless", "<b>", list(graph.tasks)[1], "&amp;")
    root = drawn(graph)
    assert not list(root.iter(f"{SVG}script"))
    assert all(len("".join(one.itertext())) < 100 for one in root.iter(f"{SVG}text"))


# ---------------------------------------------------------------------- geometry


@st.composite
def layered(draw: st.DrawFn) -> tuple[list[list[str]], dict[str, Box], list[tuple[str, str]]]:
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    layers = [[f"{depth}.{number}" for number in range(size)] for depth, size in enumerate(sizes)]
    boxes = {name: Box(draw(st.floats(20, 300)), draw(st.floats(20, 200))) for layer in layers for name in layer}
    edges: list[tuple[str, str]] = []
    for depth in range(1, len(layers)):
        for name in layers[depth]:
            sources = [other for layer in layers[:depth] for other in layer]
            edges += [(source, name) for source in draw(st.lists(st.sampled_from(sources), max_size=3, unique=True))]
    return layers, boxes, edges


@settings(max_examples=150, deadline=None)
@given(layered())
def test_boxes_never_meet_and_edges_lead_down_around_them(
    given_: tuple[list[list[str]], dict[str, Box], list[tuple[str, str]]],
) -> None:
    layers, boxes, edges = given_
    layout = lay_out(layers, boxes, edges)
    for layer in layers:
        for one, other in combinations(sorted((layout.boxes[name] for name in layer), key=lambda box: box.x), 2):
            assert one.x + one.width + GAP <= other.x + 0.01
    for upper, lower in pairwise(layers):
        bottom = max(layout.boxes[name].y + layout.boxes[name].height for name in upper)
        assert all(abs(layout.boxes[name].y - bottom - FALL) < 0.01 for name in lower)
    assert all(box.x >= -0.01 and box.x + box.width <= layout.width + 0.01 for box in layout.boxes.values())
    assert [(route.source, route.target) for route in layout.routes] == edges
    for route in layout.routes:
        check_route(layout, layers, route)


def check_route(layout: Layout, layers: list[list[str]], route: Any) -> None:
    source, target = layout.boxes[route.source], layout.boxes[route.target]
    assert source.x <= route.begin[0] <= source.x + source.width
    assert target.x <= route.end[0] <= target.x + target.width
    assert route.begin[1] == source.y + source.height
    assert route.end[1] == target.y
    heights = [route.begin[1], *(y for hop in route.hops for _, y in hop), route.end[1]]
    assert heights == sorted(heights)
    depth = next(number for number, layer in enumerate(layers) if route.source in layer)
    for number, ((_, _), (x, _)) in enumerate(route.hops[:-1], depth + 1):
        for name in layers[number]:  # a lane stands beside the boxes of the layer that it passes
            box = layout.boxes[name]
            assert x <= box.x or x >= box.x + box.width
