"""Secrets: where references lead, and that what a project file keeps opens only under its passphrase."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workglow as wg
from workglow.credentials import Credentials
from workglow.errors import CredentialError, TaskInputError
from workglow.storage.sqlite.credentials import SqliteCredentials
from workglow.testing import FakeClock
from workglow.values import Secret

pytestmark = pytest.mark.extra("credentials")
pytest.importorskip("cryptography", reason="needs pip install 'workglow[credentials]'")

QUICK = 10  # of scrypt: a megabyte and a millisecond


@pytest.fixture(autouse=True)
def no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKGLOW_PASSPHRASE", raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[wg.Project]:
    with wg.open(tmp_path / "notes.wg", clock=FakeClock()) as opened:
        yield opened


def credentials_of(project: wg.Project) -> Credentials:
    """Those of a process that has just opened the file."""
    return Credentials(project.file, SqliteCredentials(project.file), cost=QUICK)


@pytest.fixture
def credentials(project: wg.Project) -> Credentials:
    made = credentials_of(project)
    made.unlock("open sesame")
    return made


def test_a_secret_is_read_by_its_reference_after_it_was_added(project: wg.Project, credentials: Credentials) -> None:
    added = credentials.add("openai", Secret("sk-123"), label="the team's")
    assert (added.reference, added.label) == ("file:openai", "the team's")
    other = credentials_of(project)
    assert [one.name for one in other.all()] == ["openai"]
    other.unlock("open sesame")
    assert other.read("file:openai") == Secret("sk-123")


def test_the_environment_gives_the_passphrase(
    project: wg.Project, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials.add("key", "text")
    monkeypatch.setenv("WORKGLOW_PASSPHRASE", "open sesame")
    assert credentials_of(project).read("file:key").reveal() == "text"


def test_without_a_passphrase_the_remedy_is_named(project: wg.Project, credentials: Credentials) -> None:
    with pytest.raises(CredentialError, match=r"no passphrase .* yet: set WORKGLOW_PASSPHRASE.*unlock"):
        credentials_of(project).add("key", "text")
    credentials.add("key", "text")
    with pytest.raises(CredentialError, match=r"locked: set WORKGLOW_PASSPHRASE"):
        credentials_of(project).read("file:key")


def test_a_wrong_passphrase_opens_nothing(project: wg.Project, credentials: Credentials) -> None:
    credentials.add("key", "text")
    with pytest.raises(CredentialError, match="not the one under which"):
        credentials_of(project).unlock("open barley")


def test_rotation_seals_everything_under_the_new_passphrase(project: wg.Project, credentials: Credentials) -> None:
    texts = {f"key-{number}": f"text {number}" for number in range(5)}
    for name, text in texts.items():
        credentials.add(name, text)
    behind = credentials_of(project)
    behind.unlock("open sesame")
    assert credentials.rotate("new words") == 5
    with pytest.raises(CredentialError, match="not the one"):
        credentials_of(project).unlock("open sesame")
    fresh = credentials_of(project)
    fresh.unlock("new words")
    assert {name: fresh.read(f"file:{name}").reveal() for name in texts} == texts
    with pytest.raises(CredentialError, match="locked"):  # it has the old key, and does not seal under it
        behind.add("late", "text")
    assert len(fresh.all()) == 5


def test_a_rotation_that_others_were_quicker_than_changes_nothing(
    project: wg.Project, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials.add("one", "1")
    late = SqliteCredentials(project.file)
    before = late.all()
    credentials.add("two", "2")
    key = late.key()
    assert key is not None
    assert not late.replace(key, before, key.salt)
    assert credentials_of(project).all() == credentials.all()
    assert credentials.read("file:two").reveal() == "2"


def test_of_two_processes_that_begin_at_once_both_end_with_one_key(project: wg.Project) -> None:
    first, second = credentials_of(project), credentials_of(project)
    first.unlock("open sesame")
    second.unlock("open sesame")  # neither has found a key in the file
    first.add("one", "1")
    with pytest.raises(CredentialError, match="locked"):
        second.add("two", "2")
    second.unlock("open sesame")
    second.add("two", "2")
    assert first.read("file:two").reveal() == "2"


def test_a_secret_that_was_moved_to_another_name_or_changed_does_not_open(
    project: wg.Project, credentials: Credentials
) -> None:
    credentials.add("cheap", "a")
    credentials.add("dear", "b")
    with project.file.transaction() as db:
        db.execute(
            "UPDATE credential SET (nonce, sealed) = (SELECT nonce, sealed FROM credential WHERE name = 'dear') "
            "WHERE name = 'cheap'"
        )
    with pytest.raises(CredentialError, match="'cheap' in this file is damaged"):
        credentials.read("file:cheap")
    assert credentials.read("file:dear").reveal() == "b"


def test_a_forgotten_secret_is_gone(project: wg.Project, credentials: Credentials) -> None:
    credentials.add("key", "text")
    assert credentials.remove("key") is True
    assert credentials.remove("key") is False
    with pytest.raises(CredentialError, match="workglow credentials add"):
        credentials.read("file:key")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 201, "file:x"])
def test_a_name_that_is_none_is_refused(credentials: Credentials, name: str) -> None:
    with pytest.raises(CredentialError, match="1 to 200 letters"):
        credentials.add(name, "text")


def test_empty_secrets_and_passphrases_are_refused(credentials: Credentials) -> None:
    for call in (lambda: credentials.add("key", ""), lambda: credentials.unlock(""), lambda: credentials.rotate("")):
        with pytest.raises(CredentialError, match="is empty"):
            call()


@pytest.mark.parametrize("reference", ["sk-proj-secret", "env:", "file:", "file:a b", "keyring:", "vault:x"])
def test_what_is_no_reference_is_not_repeated(credentials: Credentials, reference: str) -> None:
    with pytest.raises(TaskInputError) as caught:
        credentials.read(reference)
    assert "sk-proj-secret" not in str(caught.value)


def test_the_environment_is_read_without_a_passphrase(project: wg.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "text")
    assert project.credentials.read("env:SOME_KEY").reveal() == "text"


def test_a_key_that_would_take_all_memory_is_refused_by_the_file(project: wg.Project, credentials: Credentials) -> None:
    credentials.add("key", "text")
    with pytest.raises(apsw.ConstraintError), project.file.transaction() as db:
        db.execute("UPDATE credential_key SET cost = 30")


@settings(max_examples=30, deadline=None)
@given(st.text(min_size=1, max_size=500))
def test_any_text_comes_back(text: str) -> None:
    with wg.open(":memory:") as project:
        made = credentials_of(project)
        made.unlock(text)
        made.add("key", text)
        again = credentials_of(project)
        again.unlock(text)
        assert again.read("file:key").reveal() == text
