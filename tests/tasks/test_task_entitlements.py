"""What tasks say they need, and how rules and resources are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workglow.errors import TaskConfigurationError
from workglow.tasks import Entitlement, Task, task
from workglow.tasks.entitlements import required
from workglow.tasks.policy import EVERYTHING, Policy, as_rules

# ---------------------------------------------------------------------- what is written


@pytest.mark.parametrize("text", ["network", "files:read", "*", "mcp:tool-call", "ai:model=claude-*", "files:read=a=b"])
def test_a_text_reads_the_same_as_it_is_written(text: str) -> None:
    assert str(Entitlement.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "=docs", "files:", ":read", "files read", "files:read=", "*=docs", "**", "Ünï", "a::b"]
)
def test_what_is_no_entitlement_is_refused(text: str) -> None:
    with pytest.raises(TaskConfigurationError):
        Entitlement.parse(text)


def test_a_text_in_the_place_of_a_tuple_is_refused_where_it_is_written() -> None:
    with pytest.raises(TaskConfigurationError, match="tuple"):
        task(name="entitled_wrongly", entitlements="network")(lambda: None)  # pyright: ignore
    with pytest.raises(TaskConfigurationError, match="tuple"):
        Entitlement("files:read", "docs")  # pyright: ignore
    with pytest.raises(TaskConfigurationError, match="'no such thing' is no entitlement"):

        class Wrong(Task):
            entitlements = ("no such thing",)

    with pytest.raises(TaskConfigurationError, match="holds 3"):

        class Number(Task):
            entitlements = (3,)  # pyright: ignore


# ---------------------------------------------------------------------- what tasks need


def test_a_resource_may_be_the_value_of_an_input() -> None:
    declared = ("network", "files:read={path}")
    assert required(declared) == (Entitlement("network"), Entitlement("files:read"))
    assert required(declared, {"path": "a"})[1].resources == ("a",)
    assert required(declared, {"path": Path("a/b")})[1].resources == ("a/b",)
    assert required(declared, {"path": ["a", "b"]})[1].resources == ("a", "b")


@pytest.mark.parametrize("value", [None, 3, b"a", ["a", 3], {"a": 1}, object()])
def test_a_value_that_is_no_name_needs_the_right_to_everything(value: object) -> None:
    assert required(("files:read={path}",), {"path": value}) == (Entitlement("files:read"),)
    assert required(("files:read={path}",), {}) == (Entitlement("files:read"),)


def test_an_empty_list_of_names_needs_nothing() -> None:
    assert required(("files:read={path}",), {"path": []}) == ()


def test_an_entitlement_that_speaks_of_an_input_that_is_not_there_is_refused() -> None:
    @task(name="entitled_elsewhere", entitlements=("files:read={file}",))
    def read(path: str) -> str:
        return path

    with pytest.raises(TaskConfigurationError, match="'file', which it does not have"):
        _ = read.task_type.guarded


def test_only_tasks_that_may_need_something_are_guarded() -> None:
    class Plain(Task):
        pass

    class Declared(Task):
        entitlements = ("network",)

    class Dynamic(Task):
        def required_entitlements(self, inputs: Mapping[str, object] | None = None) -> tuple[Entitlement, ...]:
            return ()

    class Below(Declared):
        pass

    assert [kind.guarded for kind in (Plain, Declared, Dynamic, Below)] == [False, True, True, True]
    assert [kind.asks_by_inputs() for kind in (Plain, Declared, Dynamic)] == [False, False, True]


# ---------------------------------------------------------------------- files


def allows(grant: str, path: object, *, deny: str = "") -> bool:
    policy = Policy.of([grant], [deny] if deny else [])
    return policy.judge(Entitlement("files:read", (str(path),))).verdict == "granted"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("docs/deep", "docs2", "secret"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_means_itself_and_everything_below(folder: Path) -> None:
    for path in ("docs", "docs/", "docs/a.md", "docs/deep/../a.md", folder / "docs" / "deep" / "x"):
        assert allows("files:read=docs", path), path
    for path in ("docs2/a.md", "secret", ".", "", "docs/../secret/key", "docs/../../x", "/", "\0", "docs\0"):
        assert not allows("files:read=docs", path), path


def test_a_grant_is_of_the_folder_it_was_made_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy.of(["files:read=docs"])
    monkeypatch.chdir(folder / "secret")
    (folder / "secret" / "docs").mkdir()
    assert policy.judge(Entitlement("files:read", ("docs/a",))).verdict == "denied"
    assert policy.judge(Entitlement("files:read", ("../docs/a",))).verdict == "granted"


def test_a_symbolic_link_leads_out_of_no_grant(folder: Path) -> None:
    (folder / "docs" / "way-out").symlink_to(folder / "secret")
    (folder / "docs" / "file").symlink_to("/etc/passwd")
    (folder / "docs" / "loop").symlink_to(folder / "docs" / "loop")
    for path in ("docs/way-out/key", "docs/way-out", "docs/file", "docs/way-out/../secret/key"):
        assert not allows("files:read=docs", path), path
    assert allows("files:read=docs", "docs/loop")


def test_a_folder_that_becomes_a_link_afterwards_widens_no_grant(folder: Path) -> None:
    policy = Policy.of(["files:read=docs/deep"])
    (folder / "docs" / "deep").rmdir()
    (folder / "docs" / "deep").symlink_to(folder / "secret")
    assert policy.judge(Entitlement("files:read", ("docs/deep/key",))).verdict == "denied"


def test_a_link_into_what_is_denied_is_denied_and_so_is_a_denied_link(folder: Path) -> None:
    (folder / "docs" / "way").symlink_to(folder / "secret")
    assert not allows("files:read", "docs/way/key", deny="files:read=secret")
    assert not allows("files:read", "secret/key", deny="files:read=docs/way")
    policy = Policy.of(["files:read"], ["files:read=docs/way"])
    (folder / "docs" / "way").unlink()
    (folder / "docs" / "way").symlink_to(folder / "docs2")
    assert policy.judge(Entitlement("files:read", ("docs/way/x",))).verdict == "denied"


def test_a_folder_above_what_is_denied_is_denied_and_a_neighbour_is_not(folder: Path) -> None:
    (folder / "docs" / "a.md").write_text("")
    for path, allowed in (
        ("docs", False),
        ("docs/deep", False),
        ("docs/a.md", True),
        ("docs2", True),
        ("docs2/", True),
    ):
        assert allows("files:read", path, deny="files:read=docs/deep") is allowed, path
    for path, allowed in (("docs", False), ("docs/a.md", True), ("docs/x.key", False), ("secret", False)):
        assert allows("files:read", path, deny="files:read=*.key") is allowed, path


def test_a_star_in_a_path_stands_for_any_characters(folder: Path) -> None:
    assert allows("files:read=docs/*.md", "docs/deep/a.md")
    assert not allows("files:read=docs/*.md", "docs/a.txt")
    assert allows("files:read=do*", "docs2/x")


def test_a_tilde_is_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert allows("files:read=~/docs", folder / "docs" / "a")


# ---------------------------------------------------------------------- hosts


@pytest.mark.parametrize(
    ("grant", "resource", "allowed"),
    [
        ("example.com", "example.com", True),
        ("example.com", "EXAMPLE.com.", True),
        ("example.com", "https://example.com:8443/a?b", True),
        ("https://example.com/", "example.com", True),
        ("example.com", "example.com:80", True),
        ("example.com", "www.example.com", False),
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "example.com", False),
        ("example.com", "https://example.com@evil.org/", False),
        ("example.com", "https://evil.org\\@example.com/", False),
        ("example.com", "https://evil.org/example.com", False),
        ("example.com", "example.com.evil.org", False),
        ("example.com", "", False),
        ("example.com", "http://[::1", False),
        ("::1", "http://[::1]:8000/", True),
        ("bücher.example", "https://xn--bcher-kva.example/", True),
    ],
)
def test_hosts_are_compared_as_hosts(grant: str, resource: str, allowed: bool) -> None:
    verdict = Policy.of([f"network={grant}"]).judge(Entitlement("network:http", (resource,))).verdict
    assert (verdict == "granted") is allowed


@pytest.mark.parametrize("resource", ["intern.example", "http://intern.example:1/", "*.example", "in*", "", "a b"])
def test_whatever_may_mean_a_denied_host_is_denied(resource: str) -> None:
    policy = Policy.of(["network"], ["network=intern.example"])
    assert policy.judge(Entitlement("network:http", (resource,))).verdict == "denied"


# ---------------------------------------------------------------------- no way round a deny

IDS = st.sampled_from(["files", "files:read", "files:write", "network", "network:http", "model", "model:download", "*"])
NAMES = st.sampled_from(
    ["/etc", "/etc/passwd", "/tmp/x", "/", "a.org", "b.org", "*.org", "/etc/../tmp", "gpt-4", "gpt-*"]
)
ENTITLEMENTS = st.builds(
    lambda id, names: Entitlement(id, () if id == "*" else tuple(names)), IDS, st.lists(NAMES, max_size=3, unique=True)
)
RULES = st.lists(ENTITLEMENTS, max_size=4)


def wider(needed: Entitlement) -> list[Entitlement]:
    """Every way to ask for more."""
    parent = needed.id.rpartition(":")[0]
    more = [Entitlement(needed.id), EVERYTHING]
    if needed.resources:
        more += [
            Entitlement(needed.id, (*needed.resources, "/tmp/other")),
            Entitlement(needed.id, ("b.org", *needed.resources)),
        ]
    if parent:
        more += [Entitlement(parent), Entitlement(parent, needed.resources)]
    return more


@given(deny=RULES, grant=RULES, needed=ENTITLEMENTS)
def test_what_is_denied_stays_denied_however_much_more_is_asked_for(
    deny: list[Entitlement], grant: list[Entitlement], needed: Entitlement
) -> None:
    policy = Policy(as_rules(deny, every_name=True), (EVERYTHING, *as_rules(grant)))
    if policy.judge(needed).verdict == "denied":
        assert [one for one in wider(needed) if policy.judge(one).verdict != "denied"] == []


@given(denied=ENTITLEMENTS)
def test_a_deny_denies_at_least_what_it_says(denied: Entitlement) -> None:
    policy = Policy(as_rules([denied], every_name=True), (EVERYTHING,))
    for one in [denied, *wider(denied)]:
        assert policy.judge(one).verdict == "denied"
    for resource in denied.resources:
        assert policy.judge(Entitlement(denied.id, (resource,))).verdict == "denied"


@given(deny=RULES, grant=RULES, more=ENTITLEMENTS, needed=ENTITLEMENTS)
def test_another_deny_never_allows_and_another_grant_never_denies(
    deny: list[Entitlement], grant: list[Entitlement], more: Entitlement, needed: Entitlement
) -> None:
    policy = Policy.of(grant, deny)
    before = policy.judge(needed).verdict
    if Policy.of(grant, [*deny, more]).judge(needed).verdict == "granted":
        assert before == "granted"
    if before == "granted":
        assert Policy.of([*grant, more], deny).judge(needed).verdict == "granted"


@given(deny=RULES, grant=RULES, needed=ENTITLEMENTS)
def test_what_is_granted_is_granted_in_every_part(
    deny: list[Entitlement], grant: list[Entitlement], needed: Entitlement
) -> None:
    policy = Policy.of(grant, deny)
    if policy.judge(needed).verdict == "granted":
        assert policy.is_possible(needed)
        for resource in needed.resources:
            assert policy.judge(Entitlement(needed.id, (resource,))).verdict == "granted"


def test_rules_from_a_folder_that_was_left_mean_the_same_when_they_are_read_back(folder: Path) -> None:
    (rule,) = as_rules(["files:read=docs/*.md"])
    assert rule.resources == (os.path.join(os.path.realpath(folder), "docs", "*.md"),)
    assert as_rules(rule.texts()) == (rule,)
