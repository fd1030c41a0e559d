"""The tables of the store, and how an older store is brought up to them."""

from __future__ import annotations

import sqlite3

_FORMATS = (
    """
CREATE TABLE digests (
    path TEXT PRIMARY KEY, stamp TEXT NOT NULL, digest TEXT NOT NULL, verified INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE recipes (plugin TEXT PRIMARY KEY, stamp TEXT NOT NULL, digest TEXT NOT NULL, parameters TEXT NOT NULL);
CREATE TABLE steps (
    key TEXT PRIMARY KEY, recipe TEXT NOT NULL, dataset TEXT NOT NULL, step TEXT NOT NULL, statement TEXT NOT NULL,
    made TEXT NOT NULL, seconds REAL NOT NULL, sof TEXT NOT NULL, warnings TEXT NOT NULL
);
CREATE INDEX steps_by_recipe ON steps (recipe, made);
CREATE TABLE products (
    key TEXT NOT NULL REFERENCES steps (key) ON DELETE CASCADE, position INTEGER NOT NULL, path TEXT NOT NULL,
    category TEXT NOT NULL, digest TEXT NOT NULL, size_bytes INTEGER NOT NULL, PRIMARY KEY (key, position)
) WITHOUT ROWID;
CREATE TABLE end_products (
    dataset TEXT NOT NULL, key TEXT NOT NULL, position INTEGER NOT NULL, path TEXT NOT NULL,
    PRIMARY KEY (dataset, key, position)
) WITHOUT ROWID;
CREATE TABLE runs (
    started TEXT NOT NULL, datasets INTEGER NOT NULL, executed INTEGER NOT NULL, reused INTEGER NOT NULL,
    failed INTEGER NOT NULL, seconds REAL NOT NULL
);
""",
    # Statements are long. What a run without work asks for is found beside them.
    "CREATE INDEX steps_found ON steps (key, seconds, made, sof, warnings);",
    # A run without work shall neither work out keys again nor look up what its products looked like.
    """
CREATE TABLE foreseen (
    dataset TEXT NOT NULL, workflow TEXT NOT NULL, seal TEXT NOT NULL, keys BLOB NOT NULL,
    PRIMARY KEY (dataset, workflow)
);
CREATE INDEX foreseen_by_seal ON foreseen (seal);
ALTER TABLE products ADD COLUMN stamp TEXT NOT NULL DEFAULT '';
""",
    # Stamps had no ctime, so every file is read once more; and paths below the root were kept in full.
    """
UPDATE OR REPLACE digests SET path = substr(path, length(:inside) + 1)
    WHERE substr(path, 1, length(:inside)) = :inside;
DELETE FROM recipes;
DELETE FROM foreseen;
UPDATE products SET stamp = '';
""",
    # Statements had no libraries: which records are to be taken over under their new keys, and who answers what.
    """
CREATE TABLE older_steps (key TEXT PRIMARY KEY) WITHOUT ROWID;
INSERT INTO older_steps SELECT key FROM steps;
CREATE TABLE libraries (question TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID;
DELETE FROM foreseen;
""",
    # What plugins say of themselves is remembered for the user, not for each root.
    """
DROP TABLE recipes;
DROP TABLE libraries;
""",
    # Times of runs were local, without a zone.
    "UPDATE runs SET started = strftime('%Y-%m-%dT%H:%M:%SZ', started, 'utc') WHERE started NOT LIKE '%Z';",
    # What was given back on purpose is not lost.
    "ALTER TABLE products ADD COLUMN given_back INTEGER NOT NULL DEFAULT 0;",
    # What recipes take of a machine: of each step, and of the latest runs whatever came of them and their records.
    """
ALTER TABLE steps ADD COLUMN processor_seconds REAL;
ALTER TABLE steps ADD COLUMN memory_bytes INTEGER;
ALTER TABLE steps ADD COLUMN input_bytes INTEGER;
DROP INDEX steps_found;
CREATE INDEX steps_found ON steps
    (key, seconds, made, sof, warnings, processor_seconds, memory_bytes, input_bytes);
CREATE TABLE usages (
    recipe TEXT NOT NULL, pipeline TEXT NOT NULL, seconds REAL NOT NULL, processor_seconds REAL NOT NULL,
    memory_bytes INTEGER NOT NULL, input_bytes INTEGER NOT NULL, ended TEXT NOT NULL
);
CREATE INDEX usages_of_recipe ON usages (recipe, pipeline);
""",
    # What is asked for with every end product must not be looked for among all files and products.
    """
CREATE INDEX digests_by_content ON digests (digest);
CREATE INDEX products_by_content ON products (digest);
CREATE INDEX products_by_path ON products (path);
CREATE INDEX end_products_by_key ON end_products (key, dataset);
CREATE INDEX end_products_by_path ON end_products (path);
""",
)
"""The commands that lead from each format to the next, the first from an empty file."""


def bring_up(db: sqlite3.Connection, inside: str) -> int:
    """Bring a database up to the present format, within a transaction, and return the format it had.

    One of a later format is left as it is. `inside` is the data root with a slash at its end.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version < len(_FORMATS):
        for command in filter(str.strip, "".join(_FORMATS[version:]).split(";")):
            db.execute(command, {"inside": inside})
        db.execute(f"PRAGMA user_version = {len(_FORMATS)}")
    return version


def is_later(version: int) -> bool:
    """Tell whether a format is one that this version of the bridge does not know."""
    return version > len(_FORMATS)
