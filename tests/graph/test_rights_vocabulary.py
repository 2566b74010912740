"""A slip in a grant is told where it is made; names of one's own stay possible."""

from __future__ import annotations

from pathlib import Path

import pytest

import workglow as wg
from workglow import Entitlement, Workflow, task
from workglow.errors import UnknownEntitlementError
from workglow.tasks import task_registry
from workglow.tasks.task import Task
from workglow.tasks.vocabulary import SHIPPED, check_known


@task(name="vocabulary_own", inline=True, entitlements=("networx:billing",))
def own(text: str) -> str:
    return text


FLOW = Workflow().then(own)


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("netwrok", "'network'"),
        ("file", "'files'"),
        ("file:read=docs", "'files:read'"),
        ("files:raed", "'files:read'"),
        ("code:javscript", "'code:javascript'"),
        ("networx:biling", "'networx:billing'"),
    ],
)
def test_a_slip_is_an_error_that_names_what_comes_near(project: wg.Project, slip: str, meant: str) -> None:
    for call in (
        lambda: FLOW.run_sync({"text": "x"}, entitlements=[slip]),
        lambda: FLOW.run_sync({"text": "x"}, deny=[Entitlement.parse(slip)]),
        lambda: project.run_sync(FLOW, {"text": "x"}, entitlements=[slip]),
        lambda: project.grant(slip),
    ):
        with pytest.raises(UnknownEntitlementError, match=f"did you mean .*{meant}"):
            call()
    assert project.runs() == []
    assert project.grants == []


@pytest.mark.parametrize(
    "name", ["*", "files", "network:http", "billing", "robot:arm=left", "networx", "networx:billing"]
)
def test_names_of_ones_own_and_wide_ones_are_no_slips(name: str) -> None:
    check_known([Entitlement.parse(name)])


def test_everything_that_shipped_tasks_ask_for_is_known() -> None:

    for name in task_registry.names():
        kind: type[Task] = task_registry.get(name)
        if kind.__module__.startswith("workglow."):
            assert {str(one).partition("=")[0] for one in kind.entitlements} <= set(SHIPPED), name


def test_a_slip_that_was_kept_can_be_taken_back(project_path: Path) -> None:
    with wg.open(project_path) as project:
        project.grant("billing")
        project.revoke("billing")
        assert project.grants == []
