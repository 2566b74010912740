"""`workglow models …` and `workglow providers`: the catalogue of a project file, and who runs models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from workglow.cli.inputs import read_inputs
from workglow.cli.parameters import AsJson, ProjectFile
from workglow.cli.plain import size, to_json
from workglow.cli.projects import look_into, work_on
from workglow.cli.screen import Cell, Screen
from workglow.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workglow.ai import ModelRecord
    from workglow.ai.facts import ProviderFacts
    from workglow.ai.models import Models

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
app.add_typer(group, name="models")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The model's name.", show_default=False)]
Task = Annotated[
    str,
    typer.Option(metavar="TYPE", help="Only models for tasks of this type: TextSummaryTask.", show_default=False),
]
OfProvider = Annotated[str, typer.Option(metavar="NAME", help="Only models of this provider.", show_default=False)]
Capability = Annotated[
    str, typer.Option(metavar="WHAT", help="Only models that can do this, embed say.", show_default=False)
]


@app.command()
def providers(json: AsJson = False) -> None:
    """List who runs models: what each can do, and the extra to install.

    Nothing is loaded.  Names of models begin with a provider's name, unless a catalogue has them.
    """
    from workglow.ai import provider_registry

    screen = Screen()
    found = [provider_registry.facts(name) for name in provider_registry]
    if json:
        screen.json([_provider_facts(one) for one in found])
        return
    for one in found:
        state: Cell = ("installed", "green") if one.installed else ("not installed", "yellow")
        where = "runs here" if one.is_local else "a service"
        screen.line((f"{one.name}:", "bold"), f"  {one.title}, {where}; ", state)
        screen.line(f"can {', '.join(one.capabilities) or 'do nothing'}", indent=4)
        if one.manages:
            screen.line(f"and {', '.join(one.manages)} models", indent=4)
        if one.credential:
            screen.line(f"credential {one.credential}", indent=4)
        if not one.installed:
            screen.line(f"is without {', '.join(one.missing)}:", indent=4)
            screen.command(f"pip install 'workglow[{one.extra}]'", indent=4)


def _provider_facts(one: ProviderFacts) -> dict[str, object]:
    names = ("name", "title", "extra", "installed", "missing", "is_local", "credential", "capabilities", "manages")
    return {name: getattr(one, name) for name in names}


@group.callback()
def models() -> None:
    """List, add, find, download and check the models that a project file knows by name."""


@group.command("list")
def list_models(
    file: ProjectFile,
    *,
    task: Task = "",
    provider: OfProvider = "",
    capability: Capability = "",
    json: AsJson = False,
) -> None:
    """List the models of the catalogue."""
    screen = Screen()
    with look_into(file) as project:
        found = project.models.search(task=task, provider=provider, capability=capability)
        if not found and not json:
            said = "no such model" if project.models.all() else "no model of its own yet"
            screen.line(f"{file} has {said}.  Add one:")
            screen.command(f"workglow models add {file} NAME --provider openai --source gpt-5-mini")
            return
        _show_all(screen, project.models, found, json=json)


@group.command()
def show(
    file: ProjectFile,
    name: Name,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Read its files, and compare what they hold with the record.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Show a model: its record, what it can do, and whether its files are what they were.

    NAME may also be one that a provider knows.  Exit code 1 when a file is missing, or has changed.
    """
    from workglow.ai.files import faults_of_files

    screen = Screen()
    with look_into(file) as project:
        record = project.models.get(name) or project.models.find(name)
        kept = project.models.get(name) is not None
        trusted = not kept or project.models.is_trusted(name)
        can = sorted(project.models.abilities(record))
    faults = faults_of_files(record, read=check)
    if json:
        about = {"in_catalogue": kept, "trusted": trusted, "can": can, "files_checked": check, "faults": faults}
        screen.json({**record.to_json(), **about})
    else:
        screen.line((record.name, "bold"), "" if kept else "  (not in the catalogue)")
        facts = {key: value for key, value in record.to_json().items() if key not in ("name", "files")}
        screen.table(("", ""), ([key, _value(value)] for key, value in facts.items()), show_header=False)
        screen.line(f"can {', '.join(can) or 'do nothing that is known here'}")
        if not trusted:
            screen.line(("It was written elsewhere, and is not used before you say so:", "yellow"))
            screen.command(f"workglow models trust {file} {name}")
        for one in record.files:
            screen.line(f"file {one.path or one.url}, {'size unknown' if one.size is None else size(one.size)}")
        for fault in faults:
            screen.line(("WRONG  ", "bold red"), fault)
    if faults:
        raise typer.Exit(1)


@group.command()
def add(
    file: ProjectFile,
    name: Name,
    *,
    provider: Annotated[
        str, typer.Option(metavar="NAME", help="Who runs it.", show_default="what NAME begins with")
    ] = "",
    source: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="What it is called there: an id, a path, a URL.", show_default="rest of NAME"
        ),
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help='A field of its record: context_length=8192, prices={"input": 0.25}. May be repeated.',
            show_default=False,
        ),
    ] = None,
    record_file: Annotated[
        str | None,
        typer.Option("--record", metavar="FILE.json", help="Its record; the other options win.", show_default=False),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the record of that name.")] = False,
    json: AsJson = False,
) -> None:
    """Add a model to the catalogue, under a name of your own or that of its provider.

    Files that it has on this machine are read, and their hashes kept.
    """
    from workglow.ai.envelope import inline_record
    from workglow.ai.files import with_files

    fields = _nested(read_inputs(settings, record_file, option="--set"))
    fields |= {key: value for key, value in (("provider", provider), ("source", source)) if value}
    fields["model_id" if "provider_config" in fields else "name"] = name
    screen = Screen()
    with work_on(file, create=True) as project:
        if "provider" not in fields:
            fields = {**_invented(project.models, name), **fields}
        record = inline_record(fields)
        if record.provider not in project.models.registry:
            known = ", ".join(project.models.registry)
            raise typer.BadParameter(f"{record.provider!r} is not there; known are {known}.", param_hint="'--provider'")
        record = with_files(record) if project.models.registry.facts(record.provider).is_local else record
        (project.models.put if replace else project.models.add)(record)
    if json:
        screen.json(record.to_json())
    else:
        screen.line(f"{file} knows {record.name}, which {record.provider} runs{_files_of(record)}.")


@group.command()
def remove(
    file: ProjectFile,
    name: Name,
    *,
    files: Annotated[bool, typer.Option("--files", help="Also delete files that were downloaded for it.")] = False,
    json: AsJson = False,
) -> None:
    """Remove a model from the catalogue.  Its files stay; other projects on this machine may use them."""
    with work_on(file) as project:
        record = project.models.remove(name)
        deleted = _deleted(project.models, record) if files else []
    screen = Screen()
    if json:
        screen.json({"removed": record.name, "deleted": deleted})
    else:
        screen.line(f"{file} does not know {record.name} any more.")
        for path in deleted:
            screen.line(f"deleted {path}")


@group.command()
def trust(file: ProjectFile, name: Name, json: AsJson = False) -> None:
    """Use a model whose record was written elsewhere, and names an address, a credential or options."""
    with work_on(file) as project:
        record = project.models.trust(name)
    screen = Screen()
    if json:
        screen.json(record.to_json())
    else:
        screen.line(f"{name} is used in {file} from now on.")


@group.command()
def find(
    file: ProjectFile,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Words that it is described with.", show_default=False)],
    *,
    at: Annotated[
        str, typer.Option("--at", metavar="PROVIDER", help="Ask this provider, not the catalogue.", show_default=False)
    ] = "",
    task: Task = "",
    provider: OfProvider = "",
    capability: Capability = "",
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many at most.")] = 20,
    json: AsJson = False,
) -> None:
    """Find models in the catalogue, or, with --at, those that a provider knows and that could be added."""
    from workglow.blocking import run_blocking

    screen = Screen()
    with look_into(file) as project:
        if at:
            found = run_blocking(lambda: project.models.search_provider(at, text, limit=limit))
        else:
            found = project.models.search(text, task=task, provider=provider, capability=capability)[:limit]
        if not found and not json:
            where = f"{at} knows" if at else f"{file} has"
            screen.line(f"{where} no such model." + ("" if at else "  Ask a provider: --at NAME."))
            return
        _show_all(screen, project.models, found, json=json)


@group.command()
def download(file: ProjectFile, name: Name, json: AsJson = False) -> None:
    """Bring the files of a model to this machine; what is here already is not transferred again.

    Interrupted, it goes on where it broke off.  Files are put into the folder WORKGLOW_MODELS, by default
    ~/.local/share/workglow/models.
    """
    from workglow.blocking import run_blocking
    from workglow.cli.downloading import shown_downloads

    screen = Screen()
    try:
        with work_on(file, create=True) as project, shown_downloads(Screen(stderr=True)) as progress:
            record = run_blocking(lambda: project.models.download(name, progress))
    except KeyboardInterrupt:
        Screen(stderr=True).line("Interrupted.  The same command goes on where it broke off.")
        raise typer.Exit(130) from None
    if json:
        screen.json(record.to_json())
    else:
        screen.line(f"{record.name} is here{_files_of(record)}.")
        for one in record.files:
            screen.line(one.path, indent=2)


@group.command()
def unload(file: ProjectFile, name: Name, json: AsJson = False) -> None:
    """Say who may hold a model in memory, and how it is taken out: only the process that holds it can do that.

    Always ends with exit code 1, for nothing was unloaded.
    """
    from workglow.file import info

    screen = Screen()
    with look_into(file) as project:
        record = project.models.get(name) or project.models.find(name)
    holders = [session for session in info(file).sessions if not session.dead]
    if json:
        processes = [{"pid": session.pid, "host": session.host} for session in holders]
        screen.json({"model": record.name, "unloaded": False, "processes": processes})
        raise typer.Exit(1)
    if holders:
        named = ", ".join(f"{session.pid} on {session.host}" for session in holders)
        screen.line(f"{record.name} may be in the memory of process {named}.  No other process can take it out:")
    else:
        screen.line(f"No process has {file} open, so {record.name} is in nobody's memory.")
    screen.line("a program calls `await project.models.unload(name)`, and a graph does it with an UnloadModelTask.")
    screen.line("To free the disk:")
    screen.command(f"workglow models remove {file} {record.name} --files")
    raise typer.Exit(1)


def _show_all(screen: Screen, models: Models, found: Sequence[ModelRecord], *, json: bool) -> None:
    if json:
        screen.json([record.to_json() for record in found])
        return
    rows = (_row(models, record) for record in found)
    screen.table(("MODEL", "PROVIDER", "SOURCE", "CAN", "CONTEXT", "FILES"), rows, right=(4,), whole=(0,))


def _row(models: Models, record: ModelRecord) -> list[Cell]:
    from workglow.ai.files import faults_of_files

    can = ", ".join(record.tasks or sorted(models.abilities(record)))
    context = "" if record.context_length is None else f"{record.context_length:,}"
    files: Cell = ""
    if record.files:
        held = size(sum(file.size or 0 for file in record.files))
        files = ("not here", "yellow") if faults_of_files(record) else held
    return [record.name, record.provider, record.source, can, context, files]


def _nested(fields: dict[str, object]) -> dict[str, Any]:
    """Read `prices.input` as a field of `prices`."""
    whole: dict[str, Any] = {}
    for name, value in fields.items():
        outer, dot, inner = name.partition(".")
        if dot:
            whole.setdefault(outer, {})[inner] = value
        else:
            whole[name] = value
    return whole


def _invented(models: Models, name: str) -> dict[str, Any]:
    """Return what the provider that a name begins with knows of the model, if it is installed."""
    prefix, _, rest = name.partition(":")
    try:
        return models.provider(prefix).record(name).to_json() if prefix in models.registry else {"provider": prefix}
    except MissingExtraError:
        return {"provider": prefix, "source": rest}


def _value(value: object) -> str:
    return value if isinstance(value, str) else to_json(value, indent=0)


def _files_of(record: ModelRecord) -> str:
    if not record.files:
        return ""
    count = len(record.files)
    return f", {'one file' if count == 1 else f'{count} files'} of {size(sum(file.size or 0 for file in record.files))}"


def _deleted(models: Models, record: ModelRecord) -> list[str]:
    """Delete the files that were downloaded: those that are where a download puts them."""
    import os

    gone: list[str] = []
    others = {file.path for one in models.all() for file in one.files}
    for file in record.files:
        is_download = bool(file.url) and file.path == str(models.downloads.place_of(file.url))
        if is_download and file.path not in others and os.path.exists(file.path):
            os.unlink(file.path)
            gone.append(file.path)
    return gone
