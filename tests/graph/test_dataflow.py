"""Edges: their ids, and what stands on them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.errors import GraphError
from workglow.graph.dataflow import Dataflow, Transform, as_transforms

names = st.text(st.characters(blacklist_characters="[]", blacklist_categories=("Cs",)), min_size=1).filter(
    lambda name: "==>" not in name and name == name.strip()
)


def test_an_edge_is_written_as_people_write_it():
    assert Dataflow("task1", "output1", "task2", "input1").id == "task1[output1] ==> task2[input1]"


@settings(deadline=None)
@given(source=names, source_port=st.one_of(names, st.just("[error]"), st.just("*")), target=names, target_port=names)
def test_an_edge_id_is_read_back(source: str, source_port: str, target: str, target_port: str):
    edge = Dataflow(source, source_port, target, target_port)
    assert Dataflow.parse(edge.id) == edge


@pytest.mark.parametrize("text", ["", "a ==> b", "a[x] => b[y]", "a[x] ==> b[]", "a[x]b ==> c[y]", "a[[x]] ==> b[y]"])
def test_what_is_no_edge_id_is_refused_with_the_form(text: str):
    with pytest.raises(GraphError, match=r"Invalid dataflow format: .*source\[port\] ==> target\[port\]"):
        Dataflow.parse(text)


def test_an_edge_cannot_be_changed_and_can_be_a_key():
    edge = Dataflow("a", "x", "b", "y", (Transform("pick", {"path": "p"}),))
    with pytest.raises(FrozenInstanceError):
        edge.source = "c"  # type: ignore[misc]
    assert {edge: 1}[Dataflow("a", "x", "b", "y", (Transform("pick", {"path": "p"}),))] == 1


def test_transforms_are_given_as_names_or_as_data():
    given = ["uppercase", {"id": "pick", "params": {"path": "x"}}, Transform("index", {"index": 0})]
    assert as_transforms(given) == (
        Transform("uppercase"),
        Transform("pick", {"path": "x"}),
        Transform("index", {"index": 0}),
    )


@pytest.mark.parametrize(
    "wrong", [{"path": "x"}, {"id": 3}, {"id": "pick", "parms": {}}, {"id": "pick", "params": 1}, 7]
)
def test_what_is_no_transform_is_refused(wrong: object):
    with pytest.raises(GraphError, match="is not a transform"):
        as_transforms([wrong])
