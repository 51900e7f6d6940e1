"""What a result folder holds, in numbers, and how its runs ended."""

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from faceloom.store.configuration import config_in
from faceloom.store.folder import DATABASE
from faceloom.store.notes import count_notes
from faceloom.store.privacy import is_open_to_others
from faceloom.store.rows import Status
from faceloom.store.view import connect_corrected

_MASKS = (
    "SELECT name, sum(number) FROM (SELECT name, count(*) AS number FROM drawn_mask GROUP BY name"
    " UNION ALL SELECT name, count(*) FROM mask WHERE NOT EXISTS (SELECT 1 FROM drawn_mask AS drawn"
    " WHERE drawn.face_id = mask.face_id AND drawn.name = mask.name) GROUP BY name) GROUP BY name ORDER BY name"
)
_TURNED_DEG = 45
"""From which a face counts as one that lies or stands on its head."""
_NAMES = 3
"""Of what is passed over for one reason, that are told."""


def read_summary(folder: Path, *, problems: int = 20, raw: bool = False) -> dict[str, Any]:
    """What a result folder holds: counts, configuration, runs, and the first of the frames that have a problem."""
    with connect_corrected(folder, raw=raw) as db:
        statuses = dict(db.execute("SELECT status, count(*) FROM frame GROUP BY status").fetchall())
        kinds = dict(db.execute("SELECT kind, count(*) FROM source GROUP BY kind").fetchall())
        (faces,) = db.execute("SELECT count(*) FROM face WHERE rejected IS NULL").fetchone()
        (persons,) = db.execute("SELECT count(DISTINCT person) FROM face WHERE rejected IS NULL").fetchone()
        (rejected,) = db.execute("SELECT count(*) FROM face WHERE rejected IS NOT NULL").fetchone()
        (turned,) = db.execute(
            "SELECT count(*) FROM face WHERE rejected IS NULL AND abs(roll) > ?", (_TURNED_DEG,)
        ).fetchone()
        (frames_with_faces,) = db.execute(
            "SELECT count(*) FROM (SELECT DISTINCT source_id, frame_idx FROM face WHERE rejected IS NULL)"
        ).fetchone()
        masks = dict(db.execute(_MASKS).fetchall())
        return {
            "sources": kinds,
            "notes": count_notes(db),
            "passed_over": _passed_over(db),
            "frames": {status.value: statuses.get(status, 0) for status in Status},
            "faces": faces,
            "rejected": rejected,
            "turned": turned,
            "persons": persons,
            "frames_with_faces": frames_with_faces,
            **_tracks(db),
            "rejected_by": _rejected_by(db),
            "masks": masks,
            "corrections": _corrections(db),
            "again": dict(db.execute("SELECT stage, count(*) FROM again GROUP BY stage ORDER BY stage").fetchall()),
            "config": config_in(db) or None,
            "problems": _problems(db, problems),
            "runs": _runs(db),
            "open_to_others": is_open_to_others(folder, DATABASE),
        }


def _corrections(db: sqlite3.Connection) -> dict[str, int]:
    """How many there are, and how many of them are undone."""
    count, undone = db.execute("SELECT count(*), count(*) FILTER (WHERE undone) FROM correction").fetchone()
    return {"said": count, "undone": undone}


def _tracks(db: sqlite3.Connection) -> dict[str, int]:
    """How many tracks and shots there are, and how many faces in tracks."""
    query = (
        "SELECT count(*), coalesce(sum(faces), 0) FROM (SELECT count(*) AS faces FROM face"
        " WHERE track IS NOT NULL AND rejected IS NULL GROUP BY source_id, track)"
    )
    tracks, faces = db.execute(query).fetchone()
    (shots,) = db.execute("SELECT count(*) FROM shot").fetchone()
    return {"tracks": tracks, "faces_in_tracks": faces, "shots": shots}


def _passed_over(db: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """What is no source, by why: how many there are, and the first of their names."""
    found: dict[str, list[str]] = {}
    for name, why in db.execute("SELECT name, why FROM passed_over ORDER BY name"):
        found.setdefault(why, []).append(name)
    return {why: {"count": len(names), "first": names[:_NAMES]} for why, names in sorted(found.items())}


def _rejected_by(db: sqlite3.Connection) -> dict[str, int]:
    """How many faces each filter has rejected, by its name; one may be rejected by several."""
    reasons = (reason for (reason,) in db.execute("SELECT rejected FROM face WHERE rejected IS NOT NULL"))
    names = (part.partition(":")[0] for reason in reasons for part in reason.split("; "))
    return dict(sorted(Counter(names).items()))


def _problems(db: sqlite3.Connection, limit: int) -> list[dict[str, Any]]:
    rows = db.execute(
        "SELECT name, idx, status, reason FROM frame JOIN source ON source.id = source_id WHERE reason IS NOT NULL"
        " UNION ALL SELECT name, frame_idx, 'missing', stage || ': ' || reason"
        " FROM again JOIN source ON source.id = source_id WHERE reason IS NOT NULL ORDER BY 1, 2 LIMIT ?",
        (limit,),
    )
    return [
        {"source": name, "frame": index, "status": status, "reason": reason} for name, index, status, reason in rows
    ]


def _runs(db: sqlite3.Connection) -> list[dict[str, Any]]:
    rows = db.execute("SELECT started_at, finished_at, outcome, versions, plan, summary FROM run ORDER BY id")
    return [
        {
            "started_at": started,
            "finished_at": finished,
            "outcome": outcome,
            "versions": json.loads(versions),
            "plan": json.loads(plan) if plan else None,
            "summary": json.loads(summary) if summary else None,
        }
        for started, finished, outcome, versions, plan, summary in rows
    ]
