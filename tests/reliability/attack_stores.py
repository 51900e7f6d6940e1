"""Ways in which somebody may have written the store of a result folder that they hand on."""

import json
import os
import sqlite3
import struct
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from faceloom.store.folder import DATABASE

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
TERMINAL = "\x1b]0;gone\x07\x1b[2J\u202e\x00\x9b31m"

Attack = Callable[[Path, Path], None]
"""Changes a result folder; the other path is a folder outside, with files that somebody would miss."""


def _sql(*statements: str) -> Attack:
    def attack(folder: Path, outside: Path) -> None:
        with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as db:
            db.execute("PRAGMA writable_schema = ON")
            db.execute("PRAGMA foreign_keys = OFF")
            db.execute("PRAGMA ignore_check_constraints = ON")
            for statement in statements:
                known = {"outside": str(outside), "up": os.path.relpath(outside, folder), "text": TERMINAL}
                db.execute(statement, {key: value for key, value in known.items() if f":{key}" in statement})

    return attack


def _in_place_of(table: str, query: str) -> Attack:
    return _sql(f"ALTER TABLE {table} RENAME TO other", f"CREATE VIEW {table} AS {query}")


def _config(change: Callable[[dict[str, object]], object]) -> Attack:
    def attack(folder: Path, outside: Path) -> None:
        with closing(sqlite3.connect(folder / DATABASE)) as db:
            (text,) = db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
            told = change(json.loads(text))
            content = told if isinstance(told, str) else json.dumps(told)
            db.execute("UPDATE meta SET value = ? WHERE key = 'config'", (content,))
            db.commit()

    return attack


def _linked(name: str) -> Attack:
    """Something in the folder is a link to the folder outside, or to a file in it."""

    def attack(folder: Path, outside: Path) -> None:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            place.rename(place.with_name(place.name + "-gone"))
        place.symlink_to(outside if place.suffix in {"", ".png"} else outside / "precious.jpg")

    return attack


def _chip_is(make: Callable[[Path], object]) -> Attack:
    """The first chip is something else."""

    def attack(folder: Path, outside: Path) -> None:
        chip = min((folder / "chips").rglob("*.jpg"))
        chip.unlink()
        make(chip)

    return attack


def _sources_are_pipes(folder: Path, outside: Path) -> None:
    os.mkfifo(folder / "pipe")
    _sql("UPDATE source SET path = CAST(:pipe AS BLOB)".replace(":pipe", f"'{folder / 'pipe'}'"))(folder, outside)


def bomb() -> bytes:
    """A PNG that declares 60,000 x 60,000 pixels."""
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(bytes(99))]
    chunks.append(b"IEND")
    packed = (struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _pending(folder: Path, outside: Path) -> None:
    """What waits for a chunk that was committed is the folder outside."""
    (folder / ".pending").mkdir()
    (folder / ".pending/1-0").symlink_to(outside)
    (folder / ".pending/x-y").mkdir()
    (folder / ".pending/1-1").mkdir()
    (folder / ".pending/1-1/chips").symlink_to(outside)
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        db.execute("INSERT OR IGNORE INTO chunk VALUES (1, 1, 0, 0, 0)")
        db.commit()


def _journal(folder: Path, outside: Path) -> None:
    """A rollback journal after which SQLite would remove a file that the journal names."""
    mark, victim = bytes.fromhex("d9d505f920a163d7"), os.fsencode(outside / "precious.jpg")
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        ((size,), (pages,)) = (db.execute(f"PRAGMA {name}").fetchone() for name in ("page_size", "page_count"))
    head = (mark + struct.pack(">IIIII", 0, 1, pages, 512, size)).ljust(512, b"\0")
    name = struct.pack(">I", (1 << 30) // size + 1) + victim + struct.pack(">II", len(victim), sum(victim)) + mark
    (folder / f"{DATABASE}-journal").write_bytes(head + name)


ATTACKS: Mapping[str, Attack] = {
    "a chip above the folder": _sql("UPDATE face SET chip = :up || '/precious.jpg'"),
    "a chip by its whole path": _sql("UPDATE face SET chip = :outside || '/precious.jpg'"),
    "a chip that is the folder above": _sql("UPDATE face SET chip = '..'"),
    "a chip with a null character": _sql("UPDATE face SET chip = 'chips/a' || char(0) || '.jpg'"),
    "a chip that is bytes": _sql("UPDATE face SET chip = x'2e2e2f61'"),
    "a chip that is a pipe": _chip_is(os.mkfifo),
    "a chip that is a folder of files": _chip_is(lambda chip: (chip / "deep").mkdir(parents=True)),
    "a chip that is a link": _chip_is(lambda chip: chip.symlink_to("../../faceloom.sqlite")),
    "a chip that is four bytes": _chip_is(lambda chip: chip.write_bytes(b"RIFF")),
    "a chip that is a bomb": _chip_is(lambda chip: chip.write_bytes(bomb())),
    "chips that are not there": _sql("UPDATE face SET chip = 'chips/gone/' || id || '.jpg'"),
    "sources that are files outside": _sql("UPDATE source SET path = CAST(:outside || '/precious.jpg' AS BLOB)"),
    "sources that are pipes": _sources_are_pipes,
    "sources that never end": _sql("UPDATE source SET path = CAST('/dev/zero' AS BLOB)"),
    "stages to be done again that are none": _sql(
        "INSERT INTO again SELECT source_id, idx, 'mask/../../x', 'x' || char(7) FROM frame",
        "INSERT INTO again SELECT source_id, idx, 'look/9' || hex(zeroblob(99)), NULL FROM frame",
    ),
    "a correction that makes no sense": _sql(
        "INSERT INTO correction VALUES (1, :outside, 'now', 'marry', '[', replace(hex(zeroblob(9999)), '00', '['), 0)"
    ),
    "persons that are merged round and round": _sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
        " INSERT INTO correction SELECT i, printf('%032x', i), '2026-01-01', 'merge', json_array(char(65 + i % 3)),"
        " json_quote(char(65 + (i + 1) % 3)), 0 FROM n",
        "UPDATE face SET person = 'A'",
    ),
    "a source above the folder": _sql("UPDATE source SET name = '../' || :up || '/x' || id WHERE id > 1"),
    "sources that climb out": _sql("UPDATE source SET name = '../' || :up WHERE id = 1"),
    "a source by its whole path": _sql("UPDATE source SET name = :outside || '/' || id"),
    "names that a terminal obeys": _sql(
        "UPDATE source SET name = :text || id",
        "UPDATE face SET person = :text || ' ' || id, rejected = NULL",
        "UPDATE frame SET reason = :text || char(10) || 'faceloom: all is well'",
        "UPDATE run SET outcome = :text",
    ),
    "paths of other types": _sql("UPDATE source SET path = 7"),
    "a view in place of faces": _in_place_of("face", f"{ENDLESS} SELECT * FROM other, n"),
    "an endless view in place of sources": _in_place_of("source", f"{ENDLESS} SELECT i AS id, '' AS name FROM n"),
    "an endless view in place of the configuration": _in_place_of(
        "meta", f"{ENDLESS} SELECT 'config' AS key, '{{}}' AS value FROM n WHERE i < 0"
    ),
    "an endless view in place of runs": _in_place_of("run", f"{ENDLESS} SELECT i AS id FROM n"),
    "a trigger": _sql(
        "CREATE TRIGGER t AFTER INSERT ON run BEGIN UPDATE face SET chip = :outside; END".replace(":outside", "'/x'")
    ),
    "a condition that takes for ever": _sql(
        "UPDATE sqlite_master SET sql = replace(sql, 'CHECK (kind IN', 'CHECK (name NOT LIKE "
        "''%a%a%a%a%a%a%a%a%a%a%b'' AND kind IN') WHERE name = 'source'"
    ),
    "a column that makes itself": _sql(
        "ALTER TABLE frame ADD COLUMN x AS (length(printf('%.*c', 100000000, 'x'))) VIRTUAL"
    ),
    "a table that is virtual": _sql(
        "ALTER TABLE mask RENAME TO other",
        "INSERT INTO sqlite_master VALUES ('table', 'mask', 'mask', 0, 'CREATE VIRTUAL TABLE mask USING x(y)')",
    ),
    "a time base of zero": _sql("UPDATE source SET time_base = '1/0'", "UPDATE frame SET ticks = 7"),
    "a time base without end": _sql("UPDATE source SET time_base = '1e999999999'", "UPDATE frame SET ticks = 7"),
    "a time base that is none": _sql("UPDATE source SET time_base = 'x'", "UPDATE frame SET ticks = 7"),
    "ticks that are text": _sql("UPDATE source SET time_base = '1/25'", "UPDATE frame SET ticks = 'x'"),
    "scores that are text": _sql("UPDATE face SET score = 'x', yaw = 'x', sharpness = x'00'"),
    "boxes that are no numbers": _sql("UPDATE face SET x0 = 9e999, x1 = 'x'"),
    "embeddings of odd bytes": _sql("UPDATE face SET embedding = x'0102030405'"),
    "embeddings that are no numbers": _sql("UPDATE face SET embedding = zeroblob(508) || x'0000c07f'"),
    "masks that are none": _sql("INSERT INTO mask SELECT face_id, name, 'x', x'00' FROM drawn_mask"),
    "masks that nobody draws": _sql("UPDATE drawn_mask SET drawing = 'components/99 0.1'"),
    "masks that are drawn with anything": _sql("UPDATE drawn_mask SET drawing = 'components/1 9e999'"),
    "masks that are drawn too large": _sql("UPDATE drawn_mask SET size = 1000000000"),
    "masks that are drawn of nothing": _sql("UPDATE face SET landmarks = NULL"),
    "landmarks of odd bytes": _sql("UPDATE face SET landmarks = x'01', affine = 'x'"),
    "landmarks of one point": _sql("UPDATE face SET landmarks = zeroblob(8)"),
    "landmarks that are no numbers": _sql(
        "UPDATE face SET landmarks = CAST(replace(hex(zeroblob(136)), '00', x'0000c07f') AS BLOB)"
    ),
    "boxes that are everywhere": _sql("UPDATE face SET x0 = -1e30, y0 = -1e30, x1 = 1e30, y1 = 1e30"),
    "boxes of nothing": _sql("UPDATE face SET x1 = x0, y1 = y0"),
    "a status that is none": _sql("UPDATE frame SET status = 'odd'"),
    "frames of other types": _sql("UPDATE frame SET height = 'x', width = x'00', look = 'x'"),
    "a kind that is none": _sql("UPDATE source SET kind = 'folder'"),
    "a summary of another form": _sql("UPDATE run SET summary = '[1]', plan = '{\"phases\": 7}', versions = '7'"),
    "a summary without end": _sql(f"UPDATE run SET summary = '{'[' * 99999}'"),
    "a summary that is text": _sql("UPDATE run SET summary = 'x', outcome = 7, started_at = 7"),
    "events of another form": _sql("INSERT INTO event VALUES (99, 1, 'x', 'x', '[')"),
    "forgotten files of another form": _sql("INSERT INTO meta VALUES ('forgotten', '[7]')"),
    "a configuration of another form": _config(lambda told: []),
    "a configuration without end": _config(lambda told: '{"stages":' * 99999),
    "a configuration of stages that are none": _config(lambda told: {**told, "stages": {"identify/x": 7}}),
    "a configuration of chips that are none": _config(lambda told: {**told, "chips": {"size": "x"}, "mask_size": -1}),
    "a configuration of no square": _config(lambda told: {**told, "crop": "../..", "level": "x"}),
    "chips that lead out": _linked("chips"),
    "chips of a source that lead out": _linked("chips/ann.png"),
    "overlays that lead out": _linked("overlays"),
    "a pending folder that leads out": _linked(".pending"),
    "pending chunks that lead out": _pending,
    "a journal that names a file to remove": _journal,
    "a lock that leads out": _linked("faceloom.lock"),
    "a log that leads out": _linked("faceloom.sqlite-wal.x"),
}
