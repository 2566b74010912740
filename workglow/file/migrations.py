"""A file's schema, built by numbered scripts that only go forward.

The scripts are `schema/sqlite/NNNN_name.sql`.  Each runs in one `BEGIN IMMEDIATE` transaction together with its number
(`user_version`) and its row in `migration`, so a file has all of a migration or nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import apsw

from workglow.file.pragmas import APPLICATION_ID

__all__ = [
    "Migration",
    "apply",
    "expected_schema",
    "migrations",
    "schema_folder",
    "schema_of",
    "schema_sql",
    "statements",
]


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered script."""

    number: int
    name: str
    script: str

    @property
    def sha256(self) -> str:
        """The hash of the script, in hex."""
        import hashlib  # only a file that is made or migrated needs it

        return hashlib.sha256(self.script.encode()).hexdigest()


@cache
def schema_folder() -> Path:
    """Where the scripts are: inside the package in a wheel, beside it in a checkout."""
    inside = Path(__file__).parents[1] / "schema"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "schema"


@cache
def migrations() -> tuple[Migration, ...]:
    """Return all migrations in order; the n-th has number n."""
    found: list[Migration] = []
    for path in sorted((schema_folder() / "sqlite").glob("[0-9][0-9][0-9][0-9]_*.sql")):
        number, _, name = path.stem.partition("_")
        found.append(Migration(int(number), name, path.read_text("utf-8")))
    return tuple(found)


def statements(script: str) -> list[str]:
    """Cut a script into its statements, each with the comments before it.

    A `;` in a string, a comment or a trigger never cuts; the last statement needs none.
    """
    found: list[str] = []
    start = 0
    position = script.find(";")
    while position >= 0:
        piece = script[start : position + 1]
        if apsw.complete(piece):
            found.append(piece.strip())
            start = position + 1
        position = script.find(";", position + 1)
    rest = script[start:].strip()
    if any(line and not line.startswith("--") for line in map(str.strip, rest.splitlines())):
        found.append(rest)
    return found


def apply(db: apsw.Connection, migration: Migration, now: int, program: str) -> None:
    """Run one migration and note it; the caller has begun the transaction and inserted nothing yet."""
    for statement in statements(migration.script):
        db.execute(statement)
    db.execute(
        "INSERT INTO migration (number, name, sha256, applied_at, applied_by) VALUES (?, ?, ?, ?, ?)",
        (migration.number, migration.name, migration.sha256, now, program),
    )
    db.pragma("user_version", migration.number)
    db.pragma("application_id", APPLICATION_ID)


def schema_of(db: apsw.Connection) -> dict[str, str]:
    """Return name → SQL of every table and index of a database, without those that a virtual table keeps for itself."""
    rows = [
        (str(name), str(sql), rootpage == 0)
        for name, sql, rootpage in db.execute(
            "SELECT name, sql, rootpage FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid"
        )
    ]
    owners = tuple(f"{name}_" for name, _, virtual in rows if virtual)
    return {name: sql for name, sql, _ in rows if not (owners and name.startswith(owners))}


@cache
def expected_schema() -> dict[str, str]:
    """Return name → SQL of what all migrations give."""
    db = apsw.Connection(":memory:")
    try:
        for migration in migrations():
            for statement in statements(migration.script):
                db.execute(statement)
        return schema_of(db)
    finally:
        db.close()


def schema_sql() -> str:
    """Return the schema that all migrations give, as the text of `schema/schema.sql`."""
    head = "-- What a file of the newest format holds, made from schema/sqlite/ by workglow.file.schema_sql().\n"
    return "\n".join([head, *(f"{sql};\n" for sql in expected_schema().values())])
