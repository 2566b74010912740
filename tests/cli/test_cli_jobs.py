"""Jobs from the shell: putting them in, looking at them, steering them and their queues; jobs in `gc` and `info`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workglow as wg
from workglow.cli.taskfiles import import_tasks
from workglow.errors import JobAbortedError
from workglow.testing import FakeClock

Call = Callable[..., Any]

ROOT = Path(__file__).parents[2]
JOB_FACTS = {
    "job", "queue", "scope", "handler", "status", "priority", "attempt", "max_attempts", "created_at", "run_after",
    "started_at", "finished_at", "deadline_at", "key", "group", "cost", "progress", "abort_reason", "error",
}  # fmt: skip


@pytest.fixture
def notes(call: Call, tasks: str) -> str:
    """A project file without jobs, in the current folder."""
    import_tasks([tasks])
    wg.open("notes.wg").close()
    return "notes.wg"


WHY_NOT = "it is completed, and only failed and aborted jobs are"


def work(*queues: str) -> None:
    """Do what can be done now."""
    with wg.open("notes.wg") as project:
        for queue in queues:
            project.queue(queue).work_sync()


@contextmanager
def worker(tasks: str, folder: Path) -> Generator[subprocess.Popen[str]]:
    """A worker of every queue in a process of its own."""
    words = [sys.executable, tasks]
    environment = {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def look(call: Call, *words: str) -> Any:
    result = call(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


# ---------------------------------------------------------------------- putting jobs in


def test_a_job_is_enqueued_done_and_shown(call: Call, notes: str) -> None:
    result = call("enqueue", notes, "voices", "CliLoud", "-i", "text=hello")
    assert result.stdout == "Job 1 is in queue voices.\nIt waits: no worker is running.\n"
    work("voices")
    shown = call("job", notes, "1").stdout
    assert "job 1  completed  CliLoud in queue voices" in shown
    assert "\nresult\n  HELLO\n" in shown
    assert "  text  hello" in shown
    facts = look(call, "job", notes, "1")
    assert facts.keys() == JOB_FACTS | {"inputs", "result", "options", "needs", "attempts", "why"}
    assert (facts["inputs"], facts["result"]) == ({"text": "hello"}, "HELLO")


def test_every_term_of_a_job_is_kept(call: Call, notes: str) -> None:
    Path("inputs.json").write_text('{"text": "one", "more": [1, 2]}')
    call("enqueue", notes, "voices", "elsewhere", "--input-file", "inputs.json", "-i", "text=two")
    words = "--priority 5 --delay 60 --deadline 90 --timeout 7 --max-attempts 4 --key k --group g --needs 1"
    facts = look(call, "enqueue", notes, "voices", "elsewhere", "--scope", "user=u1", *words.split())
    assert facts.keys() == JOB_FACTS | {"new"}
    assert {name: facts[name] for name in ("priority", "max_attempts", "key", "group", "scope", "new")} == {
        "priority": 5, "max_attempts": 4, "key": "k", "group": "g", "scope": {"user": "u1"}, "new": True,
    }  # fmt: skip
    assert facts["deadline_at"] - facts["run_after"] == 30_000
    assert 60_000 <= facts["run_after"] - facts["created_at"] + 1000 < 120_000
    whole = look(call, "job", notes, "2")
    assert (whole["needs"], whole["options"]["timeout"]) == ([1], 7.0)
    assert look(call, "job", notes, "1")["inputs"] == {"text": "two", "more": [1, 2]}
    shown = call("job", notes, "2").stdout
    for told in ("in queue voices (user=u1)", "priority    5", "timeout     7.0 s", "needs       jobs 1"):
        assert told in shown


def test_a_key_that_an_unfinished_job_has_gives_that_job(call: Call, notes: str) -> None:
    call("enqueue", notes, "voices", "CliLoud", "-i", "text=a", "--key", "k")
    result = call("enqueue", notes, "voices", "CliLoud", "-i", "text=b", "--key", "k")
    assert "Job 1 of queue voices has this key and is unfinished." in result.stdout
    assert look(call, "enqueue", notes, "voices", "CliLoud", "-i", "text=c", "--key", "k")["new"] is False
    assert len(look(call, "jobs", notes)) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("enqueue", "--delay", "inf", "notes.wg", "a", "h"), "delay=inf: give seconds, 0 or more."),
        (("enqueue", "--timeout", "0", "notes.wg", "a", "h"), "timeout=0.0: give seconds, more than 0."),
        (("enqueue", "--priority", "9" * 20, "notes.wg", "a", "h"), f"priority={'9' * 20}: give a whole number."),
        (("enqueue", "notes.wg", "a", ""), "'' is no handler"),
        (("job", "notes.wg", "9" * 20), f"There is no job {'9' * 20} in"),
        (("abort", "notes.wg", "9" * 20), f"There is no job {'9' * 20} in"),
        (("retry", "notes.wg", "9" * 20), f"There is no job {'9' * 20} in"),
        (("schedule", "notes.wg", "s", "h", "--every", "nan"), "every=nan: give seconds, or a timedelta"),
    ],
)
def test_numbers_that_make_no_sense_are_refused_with_a_word(
    call: Call, notes: str, words: tuple[str, ...], says: str
) -> None:
    result = call(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert says in " ".join(result.stderr.split())
    assert look(call, "jobs", notes) == []


def test_with_the_handler_at_hand_a_wrong_input_is_refused(call: Call, notes: str, tasks: str) -> None:
    result = call("enqueue", notes, "voices", "CliLoud", "-i", "txt=hello", "--tasks", tasks)
    assert result.exit_code == 1
    assert "Did you mean 'text'?" in result.stderr
    assert look(call, "jobs", notes) == []


def test_a_file_that_is_not_there_is_not_made(call: Call, notes: str) -> None:
    assert call("enqueue", "other.wg", "voices", "elsewhere").exit_code == 1
    assert not Path("other.wg").exists()


# ---------------------------------------------------------------------- looking


def test_jobs_say_why_they_wait(call: Call, notes: str) -> None:
    for words in ("", "--delay 3600", "--needs 1"):
        call("enqueue", notes, "voices", "CliLoud", "-i", "text=a", *words.split())
    listed = look(call, "jobs", notes)
    assert [job["job"] for job in listed] == [3, 2, 1]
    assert [job["why"] for job in listed] == ["needs job 1", "due in 60 min", "no worker is running"]
    lines = call("jobs", notes).stdout.splitlines()
    assert lines[0].split() == ["JOB", "QUEUE", "HANDLER", "STATUS", "TRIES", "TIME", "NOTE"]
    assert lines[1].endswith("needs job 1")
    call("pause", notes, "voices")
    assert {job["why"] for job in look(call, "jobs", notes)} == {"the queue is paused"}


def test_jobs_are_chosen_by_queue_status_and_group(call: Call, notes: str) -> None:
    for queue, text, group in (("a", "x", "g"), ("a", "whisper", "h"), ("b", "x", "g")):
        call("enqueue", notes, queue, "CliLoud", "-i", f"text={text}", "--group", group, "--max-attempts", "1")
    call("enqueue", notes, "a", "CliLoud", "-i", "text=x", "--scope", "user=u1")
    work("a")

    def chosen(*words: str) -> list[int]:
        return [job["job"] for job in look(call, "jobs", notes, *words)]

    assert chosen("--queue", "a") == [4, 2, 1]
    assert chosen("--queue", "a", "--scope", "user=u1") == [4]
    assert chosen("--group", "g") == [3, 1]
    assert chosen("--status", "failed", "--status", "pending") == [4, 3, 2]
    assert chosen("--limit", "2") == [4, 3]
    assert "these are the newest 2" in call("jobs", notes, "--limit", "2").stdout
    assert "There are more" not in call("jobs", notes, "--limit", "4").stdout
    assert call("jobs", notes, "--group", "none").stdout == "notes.wg has no such job.\n"
    assert call("jobs", notes, "--status", "lost").exit_code == 2


def test_a_queue_that_is_not_there_is_named_with_those_that_are(call: Call, notes: str) -> None:
    assert "it has none yet" in call("pause", notes, "voices").stderr
    call("enqueue", notes, "voices", "elsewhere")
    for words in (["jobs", notes, "--queue", "voice"], ["pause", notes, "voice"], ["resume-queue", notes, "voice"]):
        result = call(*words)
        assert result.exit_code == 2
        assert "Did you mean 'voices'?" in result.stderr
    assert call("jobs", notes, "--queue", "voices", "--scope", "user=u1").exit_code == 2


def test_a_failed_job_shows_its_error_its_trace_and_its_attempts(call: Call, notes: str) -> None:
    call("enqueue", notes, "voices", "CliLoud", "-i", "text=whisper", "--max-attempts", "1")
    work("voices")
    shown = call("job", notes, "1").stdout
    assert "Job 1 is failed: ValueError: too quiet: whisper." in shown
    assert "ValueError: too quiet: whisper" in shown
    assert "in loud\n" in shown
    assert "workglow retry notes.wg 1" in shown
    [attempt] = look(call, "job", notes, "1")["attempts"]
    assert (attempt["attempt"], attempt["outcome"], attempt["error"]["type"]) == (1, "failed", "ValueError")
    assert "ValueError: too quiet: whisper" in call("jobs", notes).stdout


def test_a_job_that_will_be_tried_again_says_when_and_what_went_wrong(call: Call, notes: str, tasks: str) -> None:
    call("enqueue", notes, "voices", "CliLoud", "-i", "text=whisper", "--tasks", tasks)
    work("voices")
    [line] = call("jobs", notes).stdout.splitlines()[1:]
    assert "next try in" in line
    assert line.endswith("; ValueError: too quiet: whisper")


def test_a_job_that_is_not_there(call: Call, notes: str) -> None:
    for command in ("job", "retry", "abort"):
        result = call(command, notes, "7")
        assert result.exit_code == 1
        assert "There is no job 7" in result.stderr


def test_queues_with_their_figures(call: Call, notes: str) -> None:
    assert "no job queue yet" in call("queues", notes).stdout
    for text in ("a", "b", "whisper"):
        call("enqueue", notes, "voices", "CliLoud", "-i", f"text={text}", "--max-attempts", "1")
    work("voices")
    call("enqueue", notes, "voices", "elsewhere")
    facts = look(call, "queues", notes)
    [queue] = facts["queues"]
    assert facts["workers"] == []
    assert queue.pop("oldest") > 0
    assert queue == {
        "queue": "voices", "scope": {}, "paused_at": None, "deferred": 0, "needing": 0, "last_minute": 2,
        "last_hour": 2, "workers": 0,
        "counts": {"pending": 1, "running": 0, "completed": 2, "failed": 1, "aborted": 0},
    }  # fmt: skip
    shown = call("queues", notes).stdout
    assert shown.splitlines()[1].split()[:5] == ["voices", "1", "0", "2", "1"]
    assert "workglow worker notes.wg" in shown


def test_what_runs_in_another_process_is_seen(call: Call, notes: str, tasks: str, tmp_path: Path) -> None:
    call("enqueue", notes, "books", "CliBook")
    with worker(tasks, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        facts = look(call, "queues", notes)
        [one] = facts["workers"]
        assert (one["pid"], one["alive"], one["jobs"], one["queues"]) == (process.pid, True, [1], None)
        assert facts["queues"][0]["workers"] == 1
        shown = call("job", notes, "1").stdout
        assert f"in process {process.pid} on {one['host']}." in shown
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert "Job 1 ran in a process that is gone" in call("job", notes, "1").stdout
        assert look(call, "queues", notes)["workers"][0]["alive"] is False
    work("books")
    assert look(call, "job", notes, "1")["result"] == 10


def test_80_columns_break_no_figure(call: Call, notes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call(
        "enqueue", notes, "voices-of-the-choir", "CliLoud", "-i", f"text=whisper {'very ' * 20}", "--max-attempts", "1"
    )
    work("voices-of-the-choir")
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    shown: dict[str, list[str]] = {}
    for command in (("jobs", notes), ("queues", notes), ("job", notes, "1"), ("watch", notes, "--once")):
        drawn = call(*command).stdout
        assert "\x1b[3" not in drawn
        shown[command[0]] = lines = re.sub(r"\x1b\[\d*m", "", drawn).splitlines()
        assert max(map(len, lines)) <= 80, command
    assert "failed" in shown["jobs"][1].split()
    assert "1/1" in shown["jobs"][1].split()
    assert shown["queues"][1].split()[-2:] == ["0", "0"]


# ---------------------------------------------------------------------- steering


def test_a_paused_queue_goes_on_when_it_is_resumed(call: Call, notes: str) -> None:
    call("enqueue", notes, "voices", "CliLoud", "-i", "text=a")
    result = call("pause", notes, "voices")
    assert result.stdout.startswith("Queue voices is paused.\n")
    assert "workglow resume-queue notes.wg voices" in result.stdout
    assert "was paused already" in call("pause", notes, "voices").stdout
    work("voices")
    assert look(call, "job", notes, "1")["status"] == "pending"
    assert call("resume-queue", notes, "voices").stdout == "Queue voices goes on.\n"
    assert call("resume-queue", notes, "voices").stdout == "Queue voices was not paused.\n"
    work("voices")
    assert look(call, "job", notes, "1")["status"] == "completed"


def test_pausing_is_for_every_scope_unless_one_is_given(call: Call, notes: str) -> None:
    for user in ("u1", "u2"):
        call("enqueue", notes, "voices", "elsewhere", "--scope", f"user={user}")
    paused = look(call, "pause", notes, "voices", "--scope", "user=u2")
    assert paused == [{"queue": "voices", "scope": {"user": "u2"}, "paused": True}]
    assert len(look(call, "pause", notes, "voices")) == 2
    told = call("pause", notes, "voices", "--scope", "user=u1").stdout
    assert told.endswith("  workglow resume-queue notes.wg voices --scope user=u1\n")


def test_retry_by_number_and_all_that_failed(call: Call, notes: str) -> None:
    for queue in ("a", "a", "b"):
        call("enqueue", notes, queue, "CliLoud", "-i", "text=whisper", "--max-attempts", "1")
    call("enqueue", notes, "b", "CliLoud", "-i", "text=fine")
    work("a", "b")
    assert call("retry", notes, "1").stdout == "Job 1 is pending again.\n"
    assert look(call, "retry", notes, "2", "4") == {"retried": [2], "left": [{"job": 4, "why": WHY_NOT}]}
    work("a")
    assert look(call, "retry", notes, "--failed", "--queue", "a") == {"retried": [2, 1], "left": []}
    assert look(call, "retry", notes, "--failed")["retried"] == [3]
    assert call("retry", notes, "--failed").exit_code == 1
    assert call("retry", notes, "4").exit_code == 1


@pytest.mark.parametrize("words", [[], ["1", "--failed"], ["1", "--queue", "a"], ["1", "--group", "g"], ["x"]])
def test_retry_needs_to_know_what(call: Call, notes: str, words: list[str]) -> None:
    assert call("retry", notes, *words).exit_code == 2


def test_abort_jobs_by_number_and_by_group(call: Call, notes: str) -> None:
    for queue, group in (("a", "g"), ("a", "g"), ("a", "h"), ("b", "g"), ("b", "g")):
        call("enqueue", notes, queue, "elsewhere", "--group", group)
    assert call("abort", notes, "1", "--reason", "no need").stdout == "Job 1 is aborted.\n"
    assert look(call, "job", notes, "1")["error"]["message"] == "no need"
    result = call("abort", notes, "1", "2")
    assert result.stdout == "Job 2 is aborted.\nJob 1 stays as it was: it has aborted already.\n"
    assert look(call, "abort", notes, "--group", "g", "--queue", "b")["aborted"] == [5, 4]
    assert call("abort", notes, "--group", "g").exit_code == 1
    assert look(call, "abort", notes, "--group", "h") == {"aborted": [3], "left": []}
    assert call("abort", notes, "1").exit_code == 1


@pytest.mark.parametrize("words", [[], ["1", "--group", "g"], ["--queue", "a"], ["last", "1"], ["1", "--queue", "a"]])
def test_abort_needs_to_know_what(call: Call, notes: str, words: list[str]) -> None:
    call("enqueue", notes, "a", "elsewhere")
    assert call("abort", notes, *words).exit_code == 2
    assert look(call, "job", notes, "1")["status"] == "pending"


def test_abort_of_a_job_stops_it_in_another_process(call: Call, notes: str, tasks: str, tmp_path: Path) -> None:
    call("enqueue", notes, "books", "CliBook")
    with worker(tasks, tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert call("abort", notes, "1").exit_code == 0
        with wg.open("notes.wg") as project, pytest.raises(JobAbortedError):
            project.job(1).result_sync(30)


# ---------------------------------------------------------------------- the file


def test_gc_removes_old_jobs_and_leaves_what_is_needed(call: Call, notes: str) -> None:
    clock = FakeClock(now=1_600_000_000_000)
    Path(notes).unlink()
    vector = np.arange(100_000, dtype=np.float32)
    with wg.open(notes, clock=clock) as project:
        queue = project.queue("voices", retry=wg.Retry(attempts=1))
        old = queue.enqueue("elsewhere", {"text": "a", "vector": vector})
        needed = queue.enqueue("elsewhere")
        old.abort()
        waiting = queue.enqueue("elsewhere", {"text": "b", "vector": vector + 1}, needs=[needed])
        needed.abort()
        waiting.retry()
    call("enqueue", notes, "voices", "elsewhere")
    call("abort", notes, "4")
    plan = look(call, "gc", notes, "--jobs-older-than", "1")
    assert (plan["jobs"], plan["values"], plan["done"]) == (1, 1, False)
    assert look(call, "gc", notes)["jobs"] == 0
    assert "0 runs, 1 jobs and 1 values" in call("gc", notes, "--jobs-older-than", "1").stdout
    assert look(call, "gc", notes, "--jobs-older-than", "1", "--yes")["freed"] > 300_000
    assert [job["job"] for job in look(call, "jobs", notes)] == [4, 3, 2]
    with wg.open(notes) as project:
        assert np.array_equal(project.job(3).inputs["vector"], vector + 1)  # pyright: ignore
    assert call("doctor", notes).exit_code == 0
    assert look(call, "gc", notes, "--jobs-older-than", "0", "--yes")["jobs"] == 1
    assert look(call, "enqueue", notes, "voices", "elsewhere")["job"] == 5


def test_gc_keeps_the_values_of_jobs(call: Call, notes: str) -> None:
    vector = np.arange(10_000, dtype=np.float32)
    with wg.open(notes) as project:
        project.queue("voices").enqueue("elsewhere", {"text": "a", "vector": vector})
    assert look(call, "gc", notes, "--yes")["values"] == 0
    with wg.open(notes) as project:
        assert np.array_equal(project.job(1).inputs["vector"], vector)  # pyright: ignore


def test_info_counts_jobs_by_status(call: Call, notes: str) -> None:
    assert "jobs:" not in call("info", notes).stdout
    call("enqueue", notes, "voices", "elsewhere")
    call("enqueue", notes, "voices", "elsewhere")
    call("abort", notes, "2")
    assert look(call, "info", notes)["jobs"] == {"aborted": 1, "pending": 1}
    assert "  jobs: 1 aborted, 1 pending;" in call("info", notes).stdout
