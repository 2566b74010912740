"""A6: what a policy says to what is required."""

from __future__ import annotations

import pytest

import workglow as wg
from workglow.errors import TaskEntitlementError
from workglow.tasks import Entitlement
from workglow.tasks.entitlements import covers, merged
from workglow.tasks.policy import Policy

Rule = str | tuple[str, tuple[str, ...]]


def rules(*written: Rule) -> tuple[Entitlement, ...]:
    return tuple(Entitlement(one) if isinstance(one, str) else Entitlement(*one) for one in written)


ETC = ("filesystem:write", ("/etc/*",))
MATRIX: list[tuple[int, tuple[Rule, ...], tuple[Rule, ...], tuple[Rule, ...], Rule, str]] = [
    (1, ("network:http",), (), (), "network:http", "denied"),
    (2, ("network",), (), (), "network:http", "denied"),
    (3, (ETC,), ("filesystem",), (), ("filesystem:write", ("/etc/passwd",)), "denied"),
    (4, (ETC,), ("filesystem",), (), ("filesystem:write", ("/tmp/data",)), "granted"),
    (5, (), ("network:http",), (), "network:http", "granted"),
    (6, (), ("network",), (), "network:http", "granted"),
    (7, (), (("ai:model", ("claude-*",)),), (), ("ai:model", ("claude-3-opus",)), "granted"),
    (8, (), (("ai:model", ("claude-*",)),), ("ai:model",), ("ai:model", ("gpt-4",)), "ask"),
    (9, (), (("network", ("api.example.com",)),), (), "network:http", "denied"),
    (10, (), (), ("network:http",), "network:http", "ask"),
    (11, (), (), ("network",), "network:http", "ask"),
    (12, (), (), (), "network:http", "denied"),
    (13, (ETC,), ("filesystem",), (), "filesystem:write", "denied"),
    (14, (ETC,), ("filesystem",), (), ("filesystem:write", ("/etc/passwd", "/tmp/x")), "denied"),
    (15, ("network:private",), ("network",), (), "network", "denied"),
    (16, (ETC,), ("filesystem",), (), "filesystem", "denied"),  # the parent's id
    (17, (ETC,), ("filesystem",), (), ("filesystem", ("/etc/hosts",)), "denied"),
    (18, (ETC,), ("filesystem",), (), ("filesystem:write", ("/",)), "denied"),  # a folder that holds it
    (19, (), ("*",), (), "network:private", "granted"),
    (20, ("*",), ("*",), (), "network", "denied"),
    (21, (), ("network:http",), (), "network", "denied"),  # a part is not the whole
    (22, (), ("net",), (), "network", "denied"),
    (23, (), ("network",), (), "networks", "denied"),
]


@pytest.mark.parametrize(
    ("number", "deny", "grant", "ask", "required", "verdict"), MATRIX, ids=[str(row[0]) for row in MATRIX]
)
def test_a6_the_verdict_matrix(
    number: int, deny: tuple[Rule, ...], grant: tuple[Rule, ...], ask: tuple[Rule, ...], required: Rule, verdict: str
) -> None:
    (result,) = Policy(rules(*deny), rules(*grant), rules(*ask)).evaluate(rules(required))
    assert result.verdict == verdict
    assert (result.rule is None) == (verdict == "denied" and not deny)


def test_a6_an_optional_requirement_has_no_verdict_even_if_it_is_denied() -> None:
    assert Policy(deny=rules("network")).evaluate([Entitlement("network", optional=True)]) == []


def test_a6_several_grants_together_take_in_several_resources() -> None:
    policy = Policy(grant=rules(("network", ("a.org",)), ("network", ("b.org",))), ask=rules(("network", ("c.org",))))
    assert policy.judge(Entitlement("network", ("a.org", "b.org"))).verdict == "granted"
    assert policy.judge(Entitlement("network", ("a.org", "c.org"))).verdict == "ask"
    assert policy.judge(Entitlement("network", ("a.org", "d.org"))).verdict == "denied"


def test_a6_a_parent_covers_its_parts_and_nothing_else() -> None:
    assert covers("network", "network:http")
    assert covers("network:http", "network:http:get")
    for wide, narrow in (("network:http", "network"), ("files:read", "files:write"), ("net", "network")):
        assert not covers(wide, narrow)


def test_a6_merging_keeps_what_is_wider() -> None:
    one = Entitlement("network", ("a.org",), "", optional=True)
    other = Entitlement("network", ("b.org",), "fetch")
    assert merged(one, other) == Entitlement("network", ("a.org", "b.org"), "fetch")
    assert merged(other, Entitlement("network")).resources == ()


ran: list[str] = []


@wg.task(name="a6_free", output="text", inline=True, cache=False)
def free(text: str) -> str:
    ran.append(text)
    return text


@wg.task(name="a6_fetch", output="text", inline=True, entitlements=("network",))
def fetch(text: str) -> str:
    return text


def test_a6_nothing_of_a_denied_graph_runs() -> None:
    graph = wg.TaskGraph()
    graph.add_task(free, id="free")
    graph.add_task(fetch, id="fetch")
    graph.add_dataflow("free", "text", "fetch", "text")
    with pytest.raises(TaskEntitlementError, match=r"^Denied entitlements: network for 'fetch' ") as caught:
        graph.run_sync({"text": "x"}, deny=["network"])
    assert "denied by rule network" in str(caught.value)
    assert ran == []
