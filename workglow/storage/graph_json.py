"""A stored graph ⇄ its JSON.  Only the envelope is known here; what is in a task is the graph room's business."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from workglow.storage.records import DataflowRecord, GraphRecord, GraphTaskRecord

__all__ = ["record_from_json", "record_to_json"]


def record_from_json(data: Mapping[str, Any], hash: str) -> GraphRecord:
    """Cut a graph's JSON into the parts that are stored; one that lacks a part is a KeyError or TypeError."""
    encode = msgspec.json.encode
    tasks = [
        GraphTaskRecord(item["id"], encode({name: value for name, value in item.items() if name != "id"}).decode())
        for item in data["tasks"]
    ]
    flows = [
        DataflowRecord(
            item["sourceTaskId"],
            item["sourceTaskPortId"],
            item["targetTaskId"],
            item["targetTaskPortId"],
            encode(item["transforms"]).decode() if item.get("transforms") else None,
        )
        for item in data["dataflows"]
    ]
    extra = {name: value for name, value in data.items() if name not in ("tasks", "dataflows")}
    return GraphRecord(hash, tasks, flows, encode(extra).decode())


def record_to_json(record: GraphRecord) -> dict[str, Any]:
    """Put the parts together again."""
    return {
        **msgspec.json.decode(record.extra),
        "tasks": [{"id": task.task_id, **msgspec.json.decode(task.definition)} for task in record.tasks],
        "dataflows": [_flow(flow) for flow in record.dataflows],
    }


def _flow(flow: DataflowRecord) -> dict[str, Any]:
    data = {
        "sourceTaskId": flow.source_id,
        "sourceTaskPortId": flow.source_port,
        "targetTaskId": flow.target_id,
        "targetTaskPortId": flow.target_port,
    }
    return data if flow.transforms is None else {**data, "transforms": msgspec.json.decode(flow.transforms)}
