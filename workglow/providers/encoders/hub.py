"""Models of the Hugging Face hub: those in the cache of this machine, and how more of them get there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workglow.ai.hub import hub_address, hub_refusal, offline_setting
from workglow.ai.record import SourceFile
from workglow.clock import SystemClock
from workglow.errors import (
    MissingExtraError,
    ModelCallError,
    ModelUnavailableError,
    UnknownModelError,
)
from workglow.limits import rate_limited

if TYPE_CHECKING:
    from workglow.ai.provider import Progress

__all__ = ["DownloadedModel", "cached_folder", "download"]


class DownloadedModel:
    """A model's files in the cache, and the commit that they are of."""

    def __init__(self, folder: Path, commit: str, files: tuple[SourceFile, ...]) -> None:
        self.folder = folder
        self.commit = commit
        self.files = files


def cached_folder(repository: str, revision: str) -> Path | None:
    """Return the folder of a repository's files in the cache; None when its config.json is not there."""
    hub = _hub()
    try:
        found = hub.try_to_load_from_cache(
            repository, "config.json", cache_dir=hub.constants.HF_HUB_CACHE, revision=revision or None
        )
    except hub.errors.HFValidationError as error:
        raise UnknownModelError(f"{repository!r} is neither a folder nor the name of a repository: {error}") from None
    return Path(found).parent if isinstance(found, str) else None


def download(
    repository: str,
    revision: str,
    weights: Sequence[Sequence[str]],
    progress: Progress,
    *,
    endpoint: str = "",
    token: str | None = None,
) -> DownloadedModel:
    """Bring a repository's small files and its weights into the cache; what is there, whole or in part, is kept.

    `weights` are sorts of them, each as patterns of names; the first sort that there is comes.  The cache checks each
    file against the size and the hash that the hub tells.
    """
    hub = _hub()
    if _is_offline(hub):
        return _kept(repository, revision, weights)
    place = hub_address(endpoint)
    try:
        described = hub.HfApi(endpoint=place, token=token).model_info(
            repository, revision=revision or None, files_metadata=True
        )
        sizes = {one.rfilename: one for one in described.siblings or ()}
        files: list[SourceFile] = []
        folder = Path()
        for name in _chosen(sorted(sizes), weights):
            known = sizes[name]
            path = hub.hf_hub_download(
                repository, name, revision=described.sha, endpoint=place, token=token,
                cache_dir=hub.constants.HF_HUB_CACHE, tqdm_class=_reporting(name, known.size, progress),
            )  # fmt: skip
            folder = Path(path).parents[name.count("/")]
            size = Path(path).stat().st_size
            progress(name, size, size)
            url = hub.hf_hub_url(repository, name, revision=described.sha, endpoint=place)
            files.append(SourceFile(path=path, url=url, size=size, sha256=known.lfs.sha256 if known.lfs else ""))
    except Exception as error:
        raise _ours(error, repository, f"{place}/{repository}", revision) from error
    return DownloadedModel(folder, str(described.sha), tuple(files))


def _kept(repository: str, revision: str, weights: Sequence[Sequence[str]]) -> DownloadedModel:
    """Return what is in the cache of a repository when nobody may be asked for it; ModelCallError when it is not."""
    folder = cached_folder(repository, revision)
    if folder is None:
        raise ModelCallError(f"{repository!r} cannot be downloaded: {offline_setting() or 'HF_HUB_OFFLINE'} is set.")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    url = f"{hub_address()}/{repository}/resolve/{folder.name}"
    files = [
        SourceFile(path=str(folder / name), url=f"{url}/{name}", size=(folder / name).stat().st_size)
        for name in _chosen(names, weights)
    ]
    return DownloadedModel(folder, folder.name, tuple(files))


def _is_offline(hub: Any) -> bool:
    return hub.constants.is_offline_mode() or bool(offline_setting())


def _chosen(names: Sequence[str], weights: Sequence[Sequence[str]]) -> list[str]:
    """Return the small files of a repository, and of its weights the first sort that there is."""
    small = [name for name in names if "/" not in name and name.endswith((".json", ".txt", ".jinja", ".model", ".spm"))]
    small += [name for name in names if fnmatch(name, "1_Pooling/config.json")]
    for patterns in weights:
        found = [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]
        if found:
            return [*dict.fromkeys([*small, *found])]
    raise UnknownModelError(f"The repository holds no weights of a known sort; its files: {', '.join(names)[:300]}.")


def _reporting(name: str, size: int | None, progress: Progress) -> type[Any]:
    """A bar that draws nothing, and tells how far a file is."""

    class Reporting:
        def __init__(self, *_: Any, initial: float = 0, **__: Any) -> None:
            self._done = int(initial)

        def update(self, amount: float | None = 1) -> None:
            self._done += int(amount or 0)
            progress(name, self._done, size)

        def __enter__(self) -> Reporting:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __getattr__(self, _: str) -> Callable[..., None]:
            return lambda *_, **__: None

    return Reporting


def _ours(error: Any, what: str, page: str, revision: str) -> Exception:
    errors = _hub().errors
    if isinstance(error, errors.OfflineModeIsEnabled):
        return ModelCallError(f"{what!r} cannot be downloaded: HF_HUB_OFFLINE is set.")
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        about = hub_refusal(page, status, error.response.headers.get("X-Error-Code", ""), revision)
        if about is not None:
            return about
        if status == 429:
            told = f"The hub has enough of questions about {what!r} for now."
            return rate_limited(error.response.headers, SystemClock.now(), told)
        if status < 500 and status != 408:
            return ModelCallError(f"The hub refuses {what!r} with status {status}.")
    if isinstance(error, OSError | errors.HTTPError):
        return ModelUnavailableError(f"{what!r} could not be fetched: {error}")
    return error


def _hub() -> Any:
    try:
        hub = import_module("huggingface_hub")
        for part in ("constants", "errors"):
            import_module(f"huggingface_hub.{part}")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"Models of the hub need {error.name}, which is not installed: pip install 'workglow[transformers]'."
        ) from error
    return hub
