"""`python -m tests.bench [W1 …] [--peers] [--json]`: us against the physical limit and the peers, as ratios in one run.

Every row calls ours and the other side in turn, in one process, and compares medians: the machine's own swings hit
both.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import caching
import cloud
import control
import durable
import embedding
import latency
import limits
import loading
import memory
import preview
import queueing
import resuming
import starting
import streaming
import writing

WORKS = {
    "W1": memory.rows,
    "W2": durable.rows,
    "W3": queueing.rows,
    "W4": caching.rows,
    "W6": resuming.rows,
    "W7": starting.rows,
    "W8": loading.rows,
    "W9": preview.rows,
    "W10": control.rows,
    "W11": streaming.rows,
    "W13": limits.rows,
    "W14": latency.rows,
    "W15": embedding.rows,
    "W16": cloud.rows,
    "W17": writing.rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("works", nargs="*", help=f"which of {', '.join(WORKS)}; all when none is named")
    parser.add_argument("--peers", action="store_true", help="measure other toolkits too (pip install -e '.[bench]')")
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of a table")
    arguments = parser.parse_args()
    unknown = [work for work in arguments.works if work not in WORKS]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; choose from {', '.join(WORKS)}")
    if arguments.peers and not find_spec("huey"):
        parser.error("the other toolkits are not installed: pip install -e '.[bench]'")
    found = []
    if not arguments.json:
        print(
            f"{'work':5} {'case':28} {'ours':>10} {'unit':10} {'against':24} {'theirs':>10} {'ratio':>7} {'target':>7}"
        )
    for work in arguments.works or WORKS:
        for row in WORKS[work](arguments.peers):
            found.append(row.to_json())
            if not arguments.json:
                target = "" if row.target is None else f"{row.target:7.2f} {'met' if row.met else 'MISSED'}"
                print(
                    f"{row.work:5} {row.case:28} {row.ours:10.2f} {row.unit:10} {row.against:24} {row.theirs:10.2f} "
                    f"{row.ratio:7.2f} {target}",
                    flush=True,
                )
    if arguments.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
