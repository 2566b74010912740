"""A graph as an SVG picture, made without any other program.

Tasks are boxes with their id and their type, input and output tasks are pills, a task with a graph inside has it inside
its box.  Edges carry the names of the ports, `[error]` edges are dotted.  Colours follow the reader's light or dark
scheme.  The same graph always gives the same picture.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from workglow.graph.dataflow import ALL_PORTS, ERROR_PORT, Dataflow
from workglow.graph.json.codec import DEEPEST_GRAPH
from workglow.graph.pictures.layout import Box, Layout, Route, lay_out

if TYPE_CHECKING:
    from workglow.graph.graph import TaskGraph
    from workglow.tasks import Task

__all__ = ["to_svg"]

_MARGIN = 24.0
_PADDING = 18.0
_HEIGHT = 46.0
_HEAD = 34.0
_LONGEST = 42
_TIP = 6.0
"""How far the line stops before the box: the rest is the tip of the arrow."""

_STYLE = """\
.wg{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
.wg .paper{fill:#fbfbfd}.wg .box{fill:#fff;stroke:#b9c2d0;stroke-width:1.2}
.wg .nest{fill:#f1f4fa;stroke:#8fa3c4;stroke-width:1.2}.wg .fork{fill:#fff8ea;stroke:#d9a441;stroke-width:1.4}
.wg .pill{fill:#eaf6f0;stroke:#58a57f;stroke-width:1.2}.wg .id{fill:#1c2430;font-size:13px;font-weight:600}
.wg .type{fill:#6a7687;font-size:11px}.wg .edge{fill:none;stroke:#7b8aa3;stroke-width:1.5}
.wg .error{stroke:#c8505a;stroke-dasharray:2 4;stroke-linecap:round}.wg .tip{fill:#7b8aa3}.wg .bad{fill:#c8505a}
.wg .port{fill:#46536a;font-size:10.5px}.wg .tag{fill:#fbfbfd;fill-opacity:.92}
@media (prefers-color-scheme:dark){.wg .paper,.wg .tag{fill:#14181f}.wg .box{fill:#1e242e;stroke:#46526a}
.wg .nest{fill:#191f29;stroke:#4d6390}.wg .fork{fill:#2b2517;stroke:#b88a35}.wg .pill{fill:#17271f;stroke:#3f7f60}
.wg .id{fill:#e8edf5}.wg .type{fill:#93a0b5}.wg .edge{stroke:#8593ac}.wg .error{stroke:#e2747d}.wg .tip{fill:#8593ac}
.wg .bad{fill:#e2747d}.wg .port{fill:#b8c3d6}}"""


def to_svg(graph: TaskGraph) -> str:
    """Return the picture as the text of an SVG file."""
    drawn = _draw(graph, 0)
    width, height = drawn.layout.width + 2 * _MARGIN, drawn.layout.height + 2 * _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="wg" width="{_n(width)}" height="{_n(height)}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" role="img">',
        f"<title>{len(graph.tasks)} tasks, {len(graph.dataflows())} dataflows</title>",
        f"<style>{_STYLE}</style>",
        "<defs>",
        _marker("wg-tip", "tip"),
        _marker("wg-bad", "bad"),
        "</defs>",
        f'<rect class="paper" width="{_n(width)}" height="{_n(height)}" rx="12"/>',
    ]
    _write(drawn, _MARGIN, _MARGIN, lines)
    return "\n".join([*lines, "</svg>"]) + "\n"


class _Drawn(NamedTuple):
    graph: TaskGraph
    layout: Layout
    inner: dict[str, _Drawn]


def _draw(graph: TaskGraph, depth: int) -> _Drawn:
    inner: dict[str, _Drawn] = {}
    boxes: dict[str, Box] = {}
    for task_id, task in graph.tasks.items():
        width = max(_width(_short(task.id), 7.6), _width(_short(_type(task)), 6.2)) + 36
        subgraph: TaskGraph | None = getattr(task, "subgraph", None)
        if subgraph is None or depth >= DEEPEST_GRAPH:
            boxes[task_id] = Box(width, _HEIGHT)
            continue
        inside = inner[task_id] = _draw(subgraph, depth + 1)
        height = _HEAD + inside.layout.height + 2 * _PADDING
        boxes[task_id] = Box(max(width, inside.layout.width + 2 * _PADDING), height)
    edges = [(edge.source, edge.target) for edge in graph.dataflows()]
    return _Drawn(graph, lay_out(graph.layers(), boxes, edges), inner)


def _write(drawn: _Drawn, left: float, top: float, lines: list[str]) -> None:
    """Write boxes first, then edges, then labels, so that nothing covers what is to be read."""
    for task in drawn.graph.tasks.values():
        _write_box(task, drawn, left, top, lines)
    between: dict[tuple[str, str], list[Dataflow]] = {}
    for edge in drawn.graph.dataflows():
        between.setdefault((edge.source, edge.target), []).append(edge)
    labels: list[tuple[str, Route]] = []
    for route in drawn.layout.routes:
        edges = between[route.source, route.target]
        failed = all(edge.source_port == ERROR_PORT for edge in edges)
        style, tip = ("edge error", "wg-bad") if failed else ("edge", "wg-tip")
        lines.append(f'<path class="{style}" d="{_path(route, left, top)}" marker-end="url(#{tip})"/>')
        label = ", ".join(dict.fromkeys(text for edge in edges if (text := _label(edge))))
        if label:
            labels.append((_short(label), route))
    _write_labels(labels, left, top, lines)


def _write_box(task: Task, drawn: _Drawn, left: float, top: float, lines: list[str]) -> None:
    box = drawn.layout.boxes[task.id]
    x, y = left + box.x, top + box.y
    inside = drawn.inner.get(task.id)
    style, radius = "box", 9.0
    if inside is not None:
        style, radius = "nest", 12.0
    elif task.type in ("InputTask", "OutputTask"):
        style, radius = "pill", box.height / 2
    elif task.switches_ports:
        style = "fork"
    lines.append(
        f'<rect class="{style}" x="{_n(x)}" y="{_n(y)}" width="{_n(box.width)}" height="{_n(box.height)}" '
        f'rx="{_n(radius)}"><title>{_escaped(f"{task.id}: {task.title or task.type}")}</title></rect>'
    )
    name, kind = _escaped(_short(task.id)), _escaped(_short(_type(task)))
    if inside is None:
        middle = x + box.width / 2
        lines.append(f'<text class="id" x="{_n(middle)}" y="{_n(y + 20)}" text-anchor="middle">{name}</text>')
        lines.append(f'<text class="type" x="{_n(middle)}" y="{_n(y + 36)}" text-anchor="middle">{kind}</text>')
        return
    lines.append(
        f'<text class="id" x="{_n(x + 14)}" y="{_n(y + 22)}">{name}<tspan class="type" dx="8">{kind}</tspan></text>'
    )
    centred = x + (box.width - inside.layout.width) / 2
    _write(inside, centred, y + _HEAD + _PADDING, lines)


def _write_labels(labels: Sequence[tuple[str, Route]], left: float, top: float, lines: list[str]) -> None:
    """Write each label on its curve, where it covers no other if there is such a place."""
    taken: list[tuple[float, float, float]] = []
    for text, route in labels:
        width = _width(text, 5.9) + 8
        (x0, y0), (x1, y1) = route.hops[0]
        spots = [_on_curve(x0, y0, x1, y1, share) for share in (0.5, 0.36, 0.64, 0.25, 0.75)]
        x, y = next((spot for spot in spots if all(_is_free(*spot, width, one) for one in taken)), spots[0])
        taken.append((x, y, width))
        lines.append(
            f'<rect class="tag" x="{_n(left + x - width / 2)}" y="{_n(top + y - 8)}" width="{_n(width)}" height="15" '
            f'rx="4"/><text class="port" x="{_n(left + x)}" y="{_n(top + y + 3.5)}" text-anchor="middle">'
            f"{_escaped(text)}</text>"
        )


def _is_free(x: float, y: float, width: float, other: tuple[float, float, float]) -> bool:
    return abs(y - other[1]) >= 15 or abs(x - other[0]) >= (width + other[2]) / 2 + 2


def _on_curve(x0: float, y0: float, x1: float, y1: float, share: float) -> tuple[float, float]:
    """Return the point of the curve between two points, which leaves and arrives straight down."""
    eased = share * share * (3 - 2 * share)
    rest = 1 - share
    middle = (y0 + y1) / 2
    y = rest**3 * y0 + 3 * rest * share * (rest + share) * middle + share**3 * y1
    return x0 + (x1 - x0) * eased, y


def _path(route: Route, left: float, top: float) -> str:
    path = f"M{_n(left + route.begin[0])} {_n(top + route.begin[1])}"
    for (x0, y0), (x1, y1) in route.hops:
        middle = top + (y0 + y1) / 2
        path += f"L{_n(left + x0)} {_n(top + y0)}C{_n(left + x0)} {_n(middle)} {_n(left + x1)} {_n(middle)} "
        is_last = (x1, y1) == route.end
        path += f"{_n(left + x1)} {_n(top + y1 - _TIP * is_last)}"
    x, y = route.end
    return path if route.hops[-1][1] == route.end else f"{path}L{_n(left + x)} {_n(top + y - _TIP)}"


def _label(edge: Dataflow) -> str:
    names = [edge.source_port, *(step.id for step in edge.transforms), edge.target_port]
    if edge.source_port == ERROR_PORT:
        names[0] = "error"
    return " → ".join(dict.fromkeys(name for name in names if name != ALL_PORTS))


def _type(task: Task) -> str:
    title: str | None = vars(task).get("title")
    return f"{title} · {task.type}" if title else task.type


def _marker(name: str, style: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="3" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="{style}" d="M0 0L8 4L0 8L2 4z"/></marker>'
    )


def _width(text: str, per_character: float) -> float:
    return sum(per_character * (1.8 if unicodedata.east_asian_width(one) in "WF" else 1) for one in text)


def _short(text: str) -> str:
    plain = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def _escaped(text: str) -> str:
    return html.escape(text)


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
