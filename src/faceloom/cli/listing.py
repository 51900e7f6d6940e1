"""The commands that there are: what each is for, and the module that has it, which is imported when it is asked for."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

from faceloom.cli.commands import Command


@dataclass(frozen=True, slots=True)
class Listed:
    """A command, as the list of all tells of it."""

    module: str
    """In `faceloom.cli`; the command stands in it under its name in capitals."""
    help: str
    """In a few words."""


LISTED: Mapping[str, Listed] = {
    "extract": Listed("extract", "find every face in pictures, folders and videos"),
    "extend": Listed("extend", "add masks or embeddings to a result, without detecting again"),
    "plan": Listed("plan", "what a run would do: passes, batches, memory, seconds"),
    "profile": Listed("profile", "measure what stages cost on this machine"),
    "show": Listed("results", "what a result folder holds: counts, problems, plan, peak memory"),
    "export": Listed("results", "write what was found for other programs to read"),
    "where": Listed("where", "which source, frame and time a chip comes from"),
    "check": Listed("checking", "whether a result folder is whole, and what a run would make again"),
    "derive": Listed("derive", "other chips of the faces in a result folder, without finding them again"),
    "redact": Listed("redact", "write pictures and videos anew with the faces covered, and look whether any is left"),
    "merge": Listed("merging", "put the results of several machines together, as one run would have made them"),
    "publish": Listed("publishing", "copy a result folder to a bucket, also while a run goes on"),
    "group": Listed("people", "which faces are of one person, by their embeddings"),
    "find": Listed("finding", "who is on pictures, by the faces of result folders"),
    "verify": Listed("finding", "whether two pictures show one person"),
    "pick": Listed("picking", "the best faces, of each person or of all, unlike each other"),
    "track": Listed("track", "which faces of a video are one face from frame to frame"),
    "timeline": Listed("timeline", "when who is seen in videos, as a table or for players and editors"),
    "sort": Listed("picking", "faces in an order, into folders or a list"),
    "correct": Listed(
        "correct", "say what was found wrongly: names, persons, false faces, boxes, landmarks, masks; and undo it"
    ),
    "corrections": Listed("correct", "list what was corrected, or carry it to another result folder"),
    "names": Listed("naming", "names of persons from and into picture files and their sidecars (XMP)"),
    "remake": Listed("remake", "landmarks, masks and embeddings anew of faces that were added or moved by hand"),
    "review": Listed("review", "look at what was found in the browser, and put it right"),
    "report": Listed("review", "write one page of what was found: counts, people, plots, worst faces, problems"),
    "forget": Listed("people", "remove everything found in a source, or of a person, for good"),
    "models": Listed("fetching", "the plugins there are, their weights, licences, and where those are cached"),
    "pull": Listed("fetching", "fetch weights now, so that later runs need no network"),
    "samples": Listed("fetching", "write a few pictures and a short clip to try things on"),
    "doctor": Listed("doctor", "check this machine: engine, codecs, cores, memory, cache, disk, GPU"),
}


def command_of(name: str) -> Command:
    """The command of a name that is listed."""
    command = getattr(importlib.import_module(f"faceloom.cli.{LISTED[name].module}"), name.upper())
    assert isinstance(command, Command)
    return command


def every_command() -> list[Command]:
    """All commands, in the order in which they are listed."""
    return [command_of(name) for name in LISTED]
