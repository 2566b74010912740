"""`workglow limits`, and limits among the reasons why jobs wait."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec

import workglow as wg
from workglow.limits import ConcurrencyLimiter, LimiterRegistry, RateLimiter

Call = Callable[..., Any]


def test_limiters_are_listed_with_what_holds_them_back(call: Call, tmp_path: Path) -> None:
    with wg.open("notes.wg") as project:
        assert "no limiter yet" in call("limits", "notes.wg").stdout
        shared = project.limiter("openai", RateLimiter(60, per=60))
        queue = project.queue("embed", limits=[ConcurrencyLimiter(2), shared])
        queue.enqueue("embed")
        queue.hold(3600, "429: slow down")
    lines = call("limits", "notes.wg").stdout.splitlines()
    assert lines[0].split() == ["LIMITER", "RULES", "TAKEN", "NOW"]
    assert sum("on hold: 429: slow down, for " in line for line in lines) == 2
    assert any(line.startswith("queue embed") and "at most 2 at once" in line for line in lines)
    own, named = sorted(json.loads(call("limits", "notes.wg", "--json").stdout), key=lambda each: each["queue"] is None)
    assert (own["queue"], own["limiter"], named["limiter"], named["taken"]) == ("embed", None, "openai", 0)
    assert own.keys() == {
        "limiter", "queue", "scope", "rules", "taken", "hold_until", "hold_reason", "strikes", "waits_for", "until",
    }  # fmt: skip
    with wg.open("notes.wg") as project:
        project.queue("embed").clear_limits()
    assert [line.split()[-1] for line in call("limits", "notes.wg").stdout.splitlines()[1:]] == ["free", "free"]


def test_a_job_that_waits_for_a_limit_says_so(call: Call, tmp_path: Path) -> None:
    from workglow.queue.reasons import Reasons

    with wg.open("notes.wg") as project:
        queue = project.queue("embed", limits=[RateLimiter(60, per=60)])
        one = queue.enqueue("embed")
        queue.hold(3600, "maintenance")
        known = project.queues.repository.begin_worker('["embed"]', '["embed"]', 1)
        said = Reasons(project.queues).waiting(one.record)
        assert said.startswith("the limits of queue 'embed': on hold (maintenance), for ")
        project.queues.repository.end_worker(known)


def test_a_limiter_that_is_not_known_here_is_shown_all_the_same(call: Call, tmp_path: Path) -> None:
    registry = LimiterRegistry()

    @registry.register
    class Never(RateLimiter, kw_only=True, frozen=True):
        kind: ClassVar[str] = "never"

    with wg.open("notes.wg", limiters=registry) as project:
        project.queue("embed", limits=[Never(1, per=1)]).enqueue("embed")
    assert msgspec.json.decode(call("limits", "notes.wg", "--json").stdout)[0]["rules"][0]["kind"] == "never"
    assert "its rule is not known here" in call("limits", "notes.wg").stdout
    assert call("jobs", "notes.wg").exit_code == 0
    assert "'never'" in call("job", "notes.wg", "1").stdout
