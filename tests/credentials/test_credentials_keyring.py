"""The keyring of the operating system: what is kept there, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import workglow as wg
from workglow.credentials import system_keyring
from workglow.errors import CredentialError

keyring = pytest.importorskip("keyring", reason="needs pip install 'workglow[credentials]'")
pytestmark = pytest.mark.extra("credentials")


@pytest.fixture
def backend() -> Iterator[dict[tuple[str, str], str]]:
    """A keyring of this test alone."""
    from keyring.backend import KeyringBackend

    kept: dict[tuple[str, str], str] = {}

    class Own(KeyringBackend):
        priority = 1  # pyright: ignore

        def get_password(self, service: str, username: str) -> str | None:
            return kept.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            kept[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del kept[service, username]

    before = keyring.get_keyring()
    keyring.set_keyring(Own())
    yield kept
    keyring.set_keyring(before)


@pytest.fixture
def nowhere() -> Iterator[None]:
    from keyring.backends import fail

    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    yield
    keyring.set_keyring(before)


def test_a_secret_in_the_keyring_is_read_by_its_reference(tmp_path: Path, backend: dict[tuple[str, str], str]) -> None:
    system_keyring.keep("openai", "sk-1")
    assert backend == {("workglow", "openai"): "sk-1"}
    with wg.open(tmp_path / "notes.wg") as project:
        assert project.credentials.read("keyring:openai").reveal() == "sk-1"
        assert system_keyring.forget("openai") is True
        assert system_keyring.forget("openai") is False
        with pytest.raises(CredentialError, match=r"no secret 'openai'.*--keyring"):
            project.credentials.read("keyring:openai")


def test_a_remembered_passphrase_opens_the_file(
    tmp_path: Path, backend: dict[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKGLOW_PASSPHRASE", raising=False)
    with wg.open(tmp_path / "notes.wg") as project:
        project.credentials.unlock("open sesame")
        project.credentials.add("key", "text")
        with pytest.raises(CredentialError, match="not the one"):
            project.credentials.remember("open barley")
        assert backend == {}
        project.credentials.remember("open sesame")
    with wg.open(tmp_path / "notes.wg") as project:
        assert project.credentials.read("file:key").reveal() == "text"
    assert [name for _, name in backend] == [f"passphrase of {project.file.uid}"]


def test_a_machine_without_a_keyring_says_what_to_do(nowhere: None) -> None:
    assert not system_keyring.there_is_one()
    with pytest.raises(CredentialError, match=r"env:NAME.*workglow credentials add"):
        system_keyring.keep("openai", "sk-1")
