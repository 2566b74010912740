"""The hot queries of the queues search an index, however many finished jobs there are."""

from __future__ import annotations

import re

import pytest

from workglow.file import File
from workglow.storage.sqlite import claims, job_ends

HOT = {
    "claim": (claims._ALL_READY, "job_ready (queue_id=?)"),
    "claim of known handlers": (claims._SOME_READY, "job_ready (queue_id=?)"),
    "the claim's own row": (claims._CLAIM_EACH, "USING INTEGER PRIMARY KEY"),
    "the rows of claims that are alike": (claims._CLAIM_ALIKE, "USING INTEGER PRIMARY KEY"),
    "the fence": (claims._HELD, "USING INTEGER PRIMARY KEY"),
    "complete": (claims._COMPLETE_EACH, "USING INTEGER PRIMARY KEY"),
    "complete those that are alike": (claims._COMPLETE_ALIKE, "USING INTEGER PRIMARY KEY"),
    "who needs it": (job_ends._NEEDING, "PRIMARY KEY (needs_id=?)"),
    "deferred": (
        "UPDATE job SET run_after = NULL WHERE queue_id IN (SELECT id FROM queue) AND run_after <= ?",
        "job_deferred (queue_id=? AND run_after<?)",
    ),
    "next deferred": (
        "SELECT min(run_after) FROM job WHERE queue_id = ? AND run_after IS NOT NULL", "job_deferred (queue_id=?",
    ),
    "deadline": (
        "SELECT id FROM job WHERE deadline_at <= ? AND finished_at IS NULL AND status = 'pending'",
        "job_deadline (deadline_at<?)",
    ),
    "next deadline": (
        "SELECT min(deadline_at) FROM job WHERE deadline_at IS NOT NULL AND finished_at IS NULL AND status = 'pending'",
        "job_deadline (deadline_at>?)",
    ),
    "key": (
        "SELECT id FROM job WHERE queue_id = ? AND key = ? AND finished_at IS NULL", "job_key (queue_id=? AND key=?)",
    ),
    "kept": ("SELECT id FROM job WHERE delete_at <= ? LIMIT ?", "job_kept (delete_at<?)"),
    "jobs of the dead": (
        "SELECT id FROM job WHERE id >= ? AND status = 'running' AND session_id = ?",
        "USING INTEGER PRIMARY KEY (rowid>?)",
    ),
    "group": (
        "SELECT id FROM job WHERE queue_id = ? AND status IN (?, ?) AND group_name = ? ORDER BY id DESC LIMIT ?",
        "job_group (group_name=?)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOT)
def test_hot_queries_of_queues_search_and_never_scan(name: str) -> None:
    query, means = HOT[name]
    numbered = [int(number) for number in re.findall(r"\?(\d+)", query)]
    values = (None,) * max(numbered, default=query.count("?"))
    with File.open(":memory:") as file:
        plan = [row[3] for row in file.db.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    assert any(means in step for step in plan), plan
    scans = [step for step in plan if step.startswith("SCAN") and "json_each" not in step]
    assert scans in ([], ["SCAN queue USING COVERING INDEX sqlite_autoindex_queue_1"], ["SCAN queue"]), plan
    assert not any("TEMP B-TREE" in step for step in plan), "it would sort"
