"""C04: names in inputs become what they name, by format."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from workglow.errors import TaskConfigurationError
from workglow.tasks.resolver import ResolverRegistry

STR: dict[str, Any] = {"type": "string"}


def text(name: str) -> dict[str, Any]:
    return {"type": "string", "format": name}


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def resolve(registry: ResolverRegistry, values: Mapping[str, Any], schema: Any) -> Any:
    return asyncio.run(registry.resolve(values, schema))


def compact(registry: ResolverRegistry, values: Mapping[str, Any], schema: Any) -> Any:
    return asyncio.run(registry.compact(values, schema))


def registry_of(prefix: str, names: Mapping[str, Any]) -> ResolverRegistry:
    registry = ResolverRegistry()

    def find(name: str, format: str) -> Any:
        if name not in names:
            raise LookupError(f'Tabular storage "{name}" not found')
        return names[name]

    registry.register(prefix, find)
    return registry


def test_c04_1_a_name_becomes_its_value_and_everything_else_stays() -> None:
    storage = object()
    registry = registry_of("dataset", {"my-dataset": storage})
    schema = obj(dataset=text("dataset"), prompt=STR)
    assert resolve(registry, {"dataset": "my-dataset", "prompt": "my-dataset"}, schema) == {
        "dataset": storage,
        "prompt": "my-dataset",
    }
    assert resolve(registry, {"dataset": storage}, schema)["dataset"] is storage
    with pytest.raises(LookupError, match='Tabular storage "non-existent-dataset" not found'):
        resolve(registry, {"dataset": "non-existent-dataset"}, schema)
    assert resolve(registry, {"dataset": "x"}, True) == {"dataset": "x"}
    assert resolve(registry, {"dataset": "x"}, {"type": "object"}) == {"dataset": "x"}


def test_c04_2_nested_objects_are_resolved() -> None:
    registry = registry_of("nested-test", {"my-id": "resolved-value"})
    schema = obj(config=obj(key=text("nested-test")))
    assert resolve(registry, {"config": {"key": "my-id"}}, schema) == {"config": {"key": "resolved-value"}}


def test_c04_3_what_a_name_gave_is_resolved_further() -> None:
    registry = registry_of(
        "mock-model", {"my-model-id": {"provider": "test", "provider_config": {"credential_key": "secret-ref"}}}
    )
    registry.register("mock-cred", lambda name, format: "resolved-secret")
    model = {**obj(provider=STR, provider_config=obj(credential_key=text("mock-cred"))), "format": "mock-model"}
    schema = obj(model={"oneOf": [text("mock-model"), model]})
    assert resolve(registry, {"model": "my-model-id"}, schema) == {
        "model": {"provider": "test", "provider_config": {"credential_key": "resolved-secret"}}
    }


def test_c04_4_an_inline_object_is_resolved_and_a_text_in_its_place_is_left_alone() -> None:
    registry = registry_of("inner-test", {"id": "value"})
    schema = obj(thing={"oneOf": [STR, obj(nested_key=text("inner-test"))]})
    assert resolve(registry, {"thing": {"nested_key": "id"}}, schema) == {"thing": {"nested_key": "value"}}
    assert resolve(registry, {"thing": "id"}, schema) == {"thing": "id"}


def test_c04_5_all_of_is_looked_through() -> None:
    registry = registry_of("allof-test", {"id": "value"})
    schema = obj(
        plain={"allOf": [text("allof-test"), {"minLength": 1}]}, deep={"allOf": [obj(key=text("allof-test")), {}]}
    )
    assert resolve(registry, {"plain": "id", "deep": {"key": "id"}}, schema) == {
        "plain": "value",
        "deep": {"key": "value"},
    }


def test_c04_6_cycles_in_schema_and_value_end() -> None:
    registry = registry_of("f", {"id": "value"})
    node: dict[str, Any] = obj(name=text("f"))
    node["properties"]["child"] = node
    node["oneOf"] = [node]
    assert resolve(registry, {"name": "id", "child": {"name": "id", "child": {"name": "id"}}}, node) == {
        "name": "value",
        "child": {"name": "value", "child": {"name": "value"}},
    }
    assert registry.needed(node)
    looped: dict[str, Any] = {"name": "id"}
    looped["child"] = looped
    assert resolve(registry, looped, node)["name"] == "value"
    shared = obj(key=text("f"))
    assert resolve(registry, {"a": {"key": "id"}, "b": {"key": "id"}}, obj(a=shared, b=shared)) == {
        "a": {"key": "value"},
        "b": {"key": "value"},
    }


def test_a_name_that_leads_to_itself_ends() -> None:
    registry = ResolverRegistry()
    registry.register("f", lambda name, format: {"again": name})
    node: dict[str, Any] = {**obj(), "format": "f"}
    node["properties"]["again"] = node
    assert resolve(registry, {"x": "a"}, obj(x=node)) == {"x": {"again": "a"}}


def test_c04_7_a_mixed_list_resolves_only_its_texts() -> None:
    marker = object()
    registry = registry_of("f", {"id1": 1, "id2": 2})
    schema = obj(direct={"type": "array", "format": "f"}, inner={"type": "array", "items": text("f")})
    resolved = resolve(registry, {"direct": ["id1", marker, "id2"], "inner": ["id1", marker, "id2"]}, schema)
    assert resolved == {"direct": [1, marker, 2], "inner": [1, marker, 2]}


def test_c04_8_the_exact_format_goes_before_its_prefix_and_async_resolvers_are_awaited() -> None:
    registry = ResolverRegistry()

    async def find(name: str, format: str) -> str:
        await asyncio.sleep(0)
        return f"{format}/{name}"

    registry.register("model", find)
    schema = obj(model=text("model:EmbeddingTask"))
    assert resolve(registry, {"model": "a"}, schema) == {"model": "model:EmbeddingTask/a"}
    registry.register("model:EmbeddingTask", lambda name, format: "exact")
    assert resolve(registry, {"model": "a"}, schema) == {"model": "exact"}
    assert resolve(registry, {"model": "a"}, obj(model=text("model:Other"))) == {"model": "model:Other/a"}
    assert resolve(registry, {"model": "a"}, obj(model=text("models"))) == {"model": "a"}


def test_c04_9_compact_is_the_inverse_of_resolve() -> None:
    things = {"a": {"name": "a", "size": 1}, "b": {"name": "b", "size": 2}}
    registry = ResolverRegistry()
    registry.register("thing", lambda name, format: things[name], lambda thing, format: thing.get("name"))
    member = {"oneOf": [text("thing"), {**obj(size={"type": "integer"}), "format": "thing"}]}
    schema = obj(one=member, many={"type": "array", "items": member}, deep=obj(inner=member))
    given = {"one": "a", "many": ["a", "b"], "deep": {"inner": "b"}}
    assert compact(registry, resolve(registry, given, schema), schema) == given
    nameless = {"one": {"size": 3}}
    assert compact(registry, nameless, schema) == nameless


def test_compact_gives_no_name_where_the_schema_allows_no_text() -> None:
    registry = ResolverRegistry()
    registry.register("thing", lambda name, format: name, lambda thing, format: "name")
    schema = obj(x={**obj(), "format": "thing"})
    assert compact(registry, {"x": {"size": 1}}, schema) == {"x": {"size": 1}}


def test_a_registry_is_of_one_project_and_refuses_a_second_resolver() -> None:
    registry, other = ResolverRegistry(), ResolverRegistry()
    registry.register("f", lambda name, format: 1)
    assert registry.needed(obj(x=obj(y=text("f:narrow"))))
    assert not registry.needed(obj(x=STR))
    assert not other.needed(obj(x=text("f")))
    with pytest.raises(TaskConfigurationError, match="'f' has a resolver already"):
        registry.register("f", lambda name, format: 2)
    assert registry.unregister("f")
    assert not registry.unregister("f")


def test_inputs_are_not_changed_in_place() -> None:
    registry = registry_of("f", {"id": "value"})
    given = {"x": {"key": "id"}}
    resolve(registry, given, obj(x=obj(key=text("f"))))
    assert given == {"x": {"key": "id"}}
