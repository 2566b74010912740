"""`workglow credentials`: secrets that a project file keeps, sealed, or the system's keyring."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from workglow.cli.moments import moment
from workglow.cli.parameters import AsJson, ProjectFile
from workglow.cli.projects import look_into, work_on
from workglow.cli.screen import Screen
from workglow.errors import CredentialError

if TYPE_CHECKING:
    from workglow.project import Project

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(name="credentials", rich_markup_mode=None, no_args_is_help=True)
app.add_typer(group)

NAME = typer.Argument(metavar="NAME", help="What references call it: file:NAME.", show_default=False)
NEW_PASSPHRASE = "WORKGLOW_NEW_PASSPHRASE"


@group.callback()
def credentials() -> None:
    """Keep secrets, such as API keys: list, add, remove, rotate, remember."""


@group.command("list")
def list_credentials(file: ProjectFile, json: AsJson = False) -> None:
    """List the secrets of a project file, without opening them."""
    screen = Screen()
    with look_into(file) as project:
        found = project.credentials.all()
    if json:
        facts = [{"name": one.name, "reference": one.reference, "label": one.label} for one in found]
        screen.json([{**fact, "updated_at": one.updated_at} for fact, one in zip(facts, found, strict=True)])
    elif not found:
        screen.line(f"{file} keeps no secret yet: workglow credentials add {file} NAME")
    else:
        rows = ((one.name, one.reference, one.label, moment(one.updated_at)) for one in found)
        screen.table(("NAME", "REFERENCE", "LABEL", "SINCE"), rows)


@group.command()
def add(
    file: ProjectFile,
    name: Annotated[str, NAME],
    *,
    label: Annotated[str, typer.Option("--label", help="What it is for, in words; this is not sealed.")] = "",
    keyring: Annotated[bool, typer.Option("--keyring", help="Keep it in the system's keyring instead.")] = False,
    json: AsJson = False,
) -> None:
    """Keep a secret, in place of the one of that name.

    It is asked for at the terminal, or read from standard input; never give it as an argument, where other users of
    the machine can see it.  The passphrase is what WORKGLOW_PASSPHRASE says, else it is asked for.
    """
    with work_on(file) as project:
        if keyring:
            from workglow.credentials import system_keyring

            system_keyring.keep(name, _secret(f"The secret {name}"))
            _say(f"The system's keyring has it; refer to it as keyring:{name}", json, reference=f"keyring:{name}")
            return
        _unlock(project)
        added = project.credentials.add(name, _secret(f"The secret {name}"), label=label)
    _say(f"{file} has it, sealed; refer to it as {added.reference}", json, reference=added.reference)


@group.command()
def remove(
    file: ProjectFile,
    name: Annotated[str, NAME],
    *,
    keyring: Annotated[bool, typer.Option("--keyring", help="Remove it from the system's keyring instead.")] = False,
    json: AsJson = False,
) -> None:
    """Forget a secret; no passphrase is needed."""
    with work_on(file) as project:
        if keyring:
            from workglow.credentials import system_keyring

            found = system_keyring.forget(name)
        else:
            found = project.credentials.remove(name)
    if not found:
        raise CredentialError(f"There is no secret {name!r}; workglow credentials list {file} names them.")
    _say(f"{name} is forgotten.", json, name=name)


@group.command()
def rotate(file: ProjectFile, json: AsJson = False) -> None:
    """Seal every secret of a project file anew, under another passphrase.

    The new one is asked for, or read from WORKGLOW_NEW_PASSPHRASE.  Copies of the file that were made before are still
    under the old one: if that is known to others, change the keys where they come from.
    """
    with work_on(file) as project:
        _unlock(project)
        new = os.environ.get(NEW_PASSPHRASE) or _asked("The new passphrase", confirm=True, remedy=NEW_PASSPHRASE)
        count = project.credentials.rotate(new)
    _say(f"{count} secret{'' if count == 1 else 's'} of {file} sealed anew.", json, count=count)


@group.command()
def remember(file: ProjectFile, json: AsJson = False) -> None:
    """Keep the passphrase of a project file in the system's keyring, for you on this machine."""
    from workglow.credentials.credentials import PASSPHRASE_VARIABLE

    with work_on(file) as project:
        text = os.environ.get(PASSPHRASE_VARIABLE) or _asked(
            f"The passphrase of {file}", confirm=False, remedy=PASSPHRASE_VARIABLE
        )
        project.credentials.remember(text)
    _say("The system's keyring has the passphrase.", json, file=file)


def _say(words: str, json: bool, **facts: object) -> None:
    screen = Screen()
    if json:
        screen.json(facts)
    else:
        screen.line(words)


def _unlock(project: Project) -> None:
    """Ask for the passphrase when it is to be found nowhere, and there is somebody to ask."""
    from workglow.credentials.credentials import PASSPHRASE_VARIABLE

    if os.environ.get(PASSPHRASE_VARIABLE) or not _is_asked():
        return
    known = project.credentials.has_passphrase
    words = "The passphrase of this file" if known else "A passphrase for the secrets of this file"
    project.credentials.unlock(_asked(words, confirm=not known, remedy=PASSPHRASE_VARIABLE))


def _secret(words: str) -> str:
    return _asked(words, confirm=False, remedy="") if _is_asked() else sys.stdin.readline().rstrip("\r\n")


def _asked(words: str, *, confirm: bool, remedy: str) -> str:
    if not _is_asked():
        raise CredentialError(f"{words} is asked for at a terminal, and this is none; set {remedy}.")
    return str(typer.prompt(words, hide_input=True, confirmation_prompt=confirm, err=True))


def _is_asked() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
