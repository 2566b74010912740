"""Files of models from the web: resumed, checked, in place whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from workglow.ai import SourceFile
from workglow.ai.addresses import is_public, public_addresses
from workglow.ai.download import Downloads
from workglow.errors import (
    AuthenticationError,
    ModelCallError,
    ModelUnavailableError,
    RateLimitedError,
    TaskEntitlementError,
)

DATA = random.Random(7).randbytes(300_000)
DIGEST = hashlib.sha256(DATA).hexdigest()
OTHER = random.Random(8).randbytes(300_000)
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def served(server: Any) -> None:
    server.files["/models/one.gguf"] = DATA


def fetched(downloads: Downloads, url: str, progress: Any = None, **wanted: Any) -> SourceFile:
    options = {name: wanted.pop(name) for name in ("headers", "allow") if name in wanted}
    return asyncio.run(downloads.fetch(SourceFile(url=url, **wanted), progress, **options))


def left(downloads: Downloads) -> list[str]:
    return sorted(path.name for path in downloads.folder.rglob("*") if path.is_file())


def test_a_file_comes_whole_under_its_host_and_path(server: Any, downloads: Downloads) -> None:
    told: list[tuple[str, int, int | None]] = []
    found = fetched(downloads, server.url(), lambda *step: told.append(step))
    path = Path(found.path)
    assert path.read_bytes() == DATA
    assert (found.size, found.sha256, found.url) == (len(DATA), DIGEST, server.url())
    assert path.relative_to(downloads.folder).parts[1:] == ("models", "one.gguf")
    assert left(downloads) == ["one.gguf"]
    done = [step[1] for step in told]
    assert done == sorted(done)
    assert told[-1] == ("one.gguf", len(DATA), len(DATA))


def test_what_is_here_is_not_transferred_again(server: Any, downloads: Downloads) -> None:
    first = fetched(downloads, server.url())
    assert fetched(downloads, server.url(), sha256=DIGEST) == first
    assert len(server.asked) == 1


def test_what_a_record_says_is_here_is_not_read_again_unless_its_size_is_another(
    server: Any, downloads: Downloads
) -> None:
    first = fetched(downloads, server.url())
    path = Path(first.path)
    path.write_bytes(OTHER)
    known = {"path": first.path, "size": first.size, "sha256": first.sha256}
    assert fetched(downloads, server.url(), **known) == first
    assert len(server.asked) == 1
    path.write_bytes(b"short")
    assert fetched(downloads, server.url(), **known) == first
    assert path.read_bytes() == DATA


def test_what_is_here_and_is_not_what_is_wanted_is_replaced(server: Any, downloads: Downloads) -> None:
    place = downloads.place_of(server.url())
    place.parent.mkdir(parents=True)
    place.write_bytes(OTHER)
    assert fetched(downloads, server.url(), sha256=DIGEST).sha256 == DIGEST
    assert place.read_bytes() == DATA


def test_a_cut_is_taken_up_where_it_was(server: Any, downloads: Downloads) -> None:
    server.cuts = [100_000, 50_000]
    assert fetched(downloads, server.url()).sha256 == DIGEST
    assert [asked.get("range") for asked in server.asked] == [None, "bytes=100000-", "bytes=150000-"]
    assert server.sent == len(DATA)
    assert left(downloads) == ["one.gguf"]


def test_a_cut_that_brought_nothing_is_an_error_and_the_next_try_goes_on(server: Any, downloads: Downloads) -> None:
    server.cuts = [100_000, 0]
    with pytest.raises(ModelUnavailableError, match="broke off"):
        fetched(downloads, server.url())
    assert left(downloads) == [".one.gguf.json", ".one.gguf.part"]
    assert fetched(downloads, server.url()).sha256 == DIGEST
    assert server.asked[-1]["range"] == "bytes=100000-"
    assert server.asked[-1]["if-range"] == '"one"'


def test_a_file_that_changed_meanwhile_begins_anew(server: Any, downloads: Downloads) -> None:
    server.cuts = [100_000, 0]
    with pytest.raises(ModelUnavailableError):
        fetched(downloads, server.url())
    server.files["/models/one.gguf"], server.etag = OTHER, '"two"'
    assert Path(fetched(downloads, server.url()).path).read_bytes() == OTHER


def test_a_server_that_knows_no_ranges_gives_all_again(server: Any, downloads: Downloads) -> None:
    server.ranges, server.cuts = False, [100_000]
    assert fetched(downloads, server.url()).sha256 == DIGEST
    assert server.sent == len(DATA) + 100_000


def test_without_a_name_for_its_state_a_part_is_not_taken_up(server: Any, downloads: Downloads) -> None:
    server.etag, server.cuts = "", [100_000]
    with pytest.raises(ModelUnavailableError):
        fetched(downloads, server.url())
    assert fetched(downloads, server.url()).sha256 == DIGEST
    assert "range" not in server.asked[-1]


def test_a_part_that_is_the_whole_is_put_in_place(server: Any, downloads: Downloads) -> None:
    server.cuts = [100_000, 0]
    with pytest.raises(ModelUnavailableError):
        fetched(downloads, server.url())
    place = downloads.place_of(server.url())
    place.with_name(".one.gguf.part").write_bytes(DATA)
    assert fetched(downloads, server.url()).sha256 == DIGEST
    assert left(downloads) == ["one.gguf"]


def test_a_wrong_checksum_leaves_nothing(server: Any, downloads: Downloads) -> None:
    with pytest.raises(ModelCallError, match=f"SHA-256 {DIGEST}, and {'0' * 64} was expected; it was thrown away"):
        fetched(downloads, server.url(), sha256="0" * 64)
    assert left(downloads) == []


def test_a_wrong_checksum_of_two_parts_may_be_tried_again(server: Any, downloads: Downloads) -> None:
    place = downloads.place_of(server.url())
    place.parent.mkdir(parents=True)
    place.with_name(".one.gguf.part").write_bytes(OTHER[:1000])
    with pytest.raises(ModelUnavailableError, match="was expected"):
        fetched(downloads, server.url(), sha256=DIGEST)
    assert fetched(downloads, server.url(), sha256=DIGEST).sha256 == DIGEST


def test_another_size_than_the_record_says_is_refused_before_anything_comes(server: Any, downloads: Downloads) -> None:
    with pytest.raises(ModelCallError, match="300,000 bytes, and the record says 5"):
        fetched(downloads, server.url(), size=5)
    assert left(downloads) == []


def test_two_who_want_one_file_make_one_transfer(server: Any, downloads: Downloads) -> None:
    server.hold = threading.Event()
    waiting: list[int] = []

    async def both() -> list[SourceFile]:
        first = asyncio.create_task(downloads.fetch(SourceFile(url=server.url())))
        await asyncio.to_thread(server.held.wait)

        def seen(name: str, done: int, total: int | None) -> None:
            waiting.append(done)
            server.hold.set()

        second = asyncio.create_task(downloads.fetch(SourceFile(url=server.url()), seen))
        return await asyncio.gather(first, second)

    one, other = asyncio.run(both())
    assert one == other
    assert len(server.asked) == 1
    assert waiting[-1] == len(DATA)


def test_cancelling_ends_the_transfer_and_keeps_what_came(server: Any, downloads: Downloads) -> None:
    server.hold = threading.Event()

    async def cancelled() -> None:
        came = asyncio.Event()
        task = asyncio.create_task(downloads.fetch(SourceFile(url=server.url()), lambda *_: came.set()))
        await came.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancelled(), 20))
    assert left(downloads) == [".one.gguf.json", ".one.gguf.part"]
    server.hold.set()
    server.hold = None
    assert fetched(downloads, server.url()).sha256 == DIGEST
    assert "range" in server.asked[-1]


PROGRAM = """
import asyncio, sys
from workglow.ai import SourceFile
from workglow.ai.download import Downloads
asyncio.run(Downloads(sys.argv[2], private=frozenset({"127.0.0.1"})).fetch(SourceFile(url=sys.argv[1])))
"""


def test_a_process_that_is_killed_gives_the_lock_and_its_part_back(server: Any, downloads: Downloads) -> None:
    server.hold = threading.Event()
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, server.url(), str(downloads.folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert server.held.wait(30)
    part = downloads.place_of(server.url()).with_name(".one.gguf.part")
    while part.stat().st_size == 0:
        assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not downloads.place_of(server.url()).exists()
    server.hold.set()
    server.hold = None
    came = part.stat().st_size
    assert fetched(downloads, server.url()).sha256 == DIGEST
    assert server.asked[-1]["range"] == f"bytes={came}-"


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (401, {}, AuthenticationError),
        (403, {}, AuthenticationError),
        (404, {}, ModelCallError),
        (429, {"Retry-After": "7"}, RateLimitedError),
        (503, {}, ModelUnavailableError),
        (500, {}, ModelUnavailableError),
    ],
)
def test_a_refusal_has_its_kind(
    server: Any, downloads: Downloads, status: int, headers: dict[str, str], kind: type[Exception]
) -> None:
    server.statuses = [(status, headers)]
    with pytest.raises(kind) as raised:
        fetched(downloads, server.url())
    assert type(raised.value) is kind
    assert left(downloads) == []
    if status == 429:
        assert getattr(raised.value, "retry_after", None) == 7


def test_nobody_there_may_be_tried_again(downloads: Downloads) -> None:
    with pytest.raises(ModelUnavailableError, match="broke off"):
        fetched(downloads, "http://127.0.0.1:9/x.gguf")


# ---------------------------------------------------------------------- where from


def test_redirects_are_followed_and_secrets_stay_with_the_first_host(server: Any, downloads: Downloads) -> None:
    server.statuses = [(302, {"Location": server.url().replace("127.0.0.1", "localhost")})]
    roomy = Downloads(downloads.folder, private=frozenset({"127.0.0.1", "localhost"}))
    asked: list[str] = []
    found = fetched(roomy, server.url("/from"), headers={"Authorization": "Bearer x"}, allow=asked.append)
    assert found.sha256 == DIGEST
    assert asked == ["127.0.0.1", "localhost"]
    assert [request.get("authorization") for request in server.asked] == ["Bearer x", None]


def test_a_redirect_into_a_private_network_is_not_followed(server: Any, downloads: Downloads) -> None:
    server.statuses = [(302, {"Location": server.url().replace("127.0.0.1", "localhost")})]
    with pytest.raises(ModelCallError, match=r"in a private network.*WORKGLOW_PRIVATE_HOSTS=localhost"):
        fetched(downloads, server.url("/from"))
    assert len(server.asked) == 1


def test_redirects_in_a_circle_end(server: Any, downloads: Downloads) -> None:
    server.statuses = [(307, {"Location": "/models/one.gguf"})] * 50
    with pytest.raises(ModelCallError, match="redirected more than 10 times"):
        fetched(downloads, server.url())


def test_a_private_address_is_asked_only_where_the_environment_says_so(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKGLOW_MODELS", str(tmp_path / "here"))
    with pytest.raises(ModelCallError, match="private network"):
        fetched(Downloads(), server.url())
    assert server.asked == []
    monkeypatch.setenv("WORKGLOW_PRIVATE_HOSTS", "models.lan, 127.0.0.1")
    assert fetched(Downloads(), server.url()).path.startswith(str(tmp_path / "here"))


def test_offline_asks_nobody(server: Any, downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKGLOW_OFFLINE", "1")
    with pytest.raises(ModelCallError, match="WORKGLOW_OFFLINE"):
        fetched(downloads, server.url())
    assert server.asked == []


def test_a_host_that_is_not_allowed_is_not_asked(server: Any, downloads: Downloads) -> None:
    def allow(host: str) -> None:
        raise TaskEntitlementError(host)

    with pytest.raises(TaskEntitlementError, match=r"127\.0\.0\.1"):
        fetched(downloads, server.url(), allow=allow)
    assert server.asked == []


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://example.com/x", "https://me:secret@example.com/x", "https://", "no", "http://a:b/x"],
)
def test_what_is_no_address_of_the_web_is_refused(downloads: Downloads, url: str) -> None:
    with pytest.raises(ModelCallError, match="nothing to download from"):
        fetched(downloads, url)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.0.0.5", "172.16.0.1", "192.168.1.1", "169.254.169.254", "2130706433", "0x7f000001", "127.1",
     "0177.0.0.1", "[::1]", "[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
     "localhost", "LOCALHOST", "localhost.", "0.0.0.0", "100.64.0.1", "224.0.0.1"],
)  # fmt: skip
def test_ways_to_write_a_private_address(host: str) -> None:
    with pytest.raises(ModelCallError, match="private network"):
        asyncio.run(public_addresses(f"http://{host}/x", ()))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "path",
    ["/../../../etc/passwd", "/%2e%2e/%2e%2e/x", "/a/.hidden", "/a//b", "/x?download=1", "/a%2F..%2Fb", "/", "/é/名"],
)
def test_every_file_stays_in_the_folder_and_has_a_place_of_its_own(downloads: Downloads, path: str) -> None:
    place = downloads.place_of("https://example.com" + path)
    assert place.is_relative_to(downloads.folder)
    assert ".." not in place.parts
    assert not any(part.startswith(".") for part in place.relative_to(downloads.folder).parts)
    assert place != downloads.place_of("https://example.com" + path + "x")
