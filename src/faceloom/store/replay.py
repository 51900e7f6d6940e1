"""Replaying: what corrections make of faces, as if each of them that is not undone were said again, in order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faceloom.store.corrections import Correction, Verb

BY_HAND = "hand"
"""Why a face is rejected that somebody rejected, and how its reason begins if one was told."""


@dataclass(slots=True)
class Replayed:
    """What holds of faces, by row number, that is not what was found."""

    people: dict[int, str | None] = field(default_factory=dict)
    """Whose a face is; None: nobody's."""
    aliases: dict[str, str] = field(default_factory=dict)
    """What a person is called now whom `faceloom group` named, of faces that nobody has spoken of one by one."""
    rejected: dict[int, str | None] = field(default_factory=dict)
    """Why a face is rejected; None: it is not."""
    boxes: dict[int, Sequence[float]] = field(default_factory=dict)
    landmarks: dict[int, Sequence[Sequence[float]]] = field(default_factory=dict)
    masks: dict[int, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    """By the face and the mask's name."""

    def person_of(self, face: int, found: str | None) -> str | None:
        """Whose a face is of which that was found."""
        if face in self.people:
            return self.people[face]
        return found if found is None else self.aliases.get(found, found)

    def touches(self, face: int, found: str | None) -> bool:
        """Whether somebody said whose a face is."""
        return face in self.people or found in self.aliases


def replay(
    corrections: Iterable[tuple[Correction, Sequence[int]]], *, found_person: Callable[[int], str | None]
) -> Replayed:
    """What corrections make of what was found; those that are undone make nothing.

    Args:
        corrections: in the order in which they were said, each with the row numbers of its faces that are there.
        found_person: whom `faceloom group` took a face for.
    """
    now = Replayed()
    for said, faces in corrections:
        if not said.is_undone:
            _apply(now, said, faces, found_person)
    return now


def _apply(now: Replayed, said: Correction, faces: Sequence[int], found_person: Callable[[int], str | None]) -> None:
    match said.verb:
        case Verb.NAME | Verb.MERGE:
            for person in said.persons:
                _rename(now, person, said.after)
        case Verb.ASSIGN | Verb.SPLIT:
            now.people |= dict.fromkeys(faces, said.after)
        case Verb.SAME:
            _unite(now, faces, found_person)
        case Verb.DIFFERENT:
            _part(now, faces, found_person)
        case Verb.REJECT:
            now.rejected |= dict.fromkeys(faces, BY_HAND if said.after is None else f"{BY_HAND}: {said.after}")
        case Verb.RESTORE:
            now.rejected |= dict.fromkeys(faces)
        case Verb.BOX:
            now.boxes |= dict.fromkeys(faces, said.after)
        case Verb.LANDMARKS:
            now.landmarks |= dict.fromkeys(faces, said.after)
        case Verb.MASK:
            for face in faces:
                now.masks.setdefault(face, {})[said.after["name"]] = said.after
        case Verb.NOTE:
            pass


def _rename(now: Replayed, person: str, name: str) -> None:
    """All who are called so now are called otherwise."""
    if person == name:
        return
    now.people |= {face: name for face, one in now.people.items() if one == person}
    now.aliases |= {found: name for found, one in now.aliases.items() if one == person}
    now.aliases.setdefault(person, name)


def _unite(now: Replayed, faces: Sequence[int], found_person: Callable[[int], str | None]) -> None:
    """The persons of faces become the first of them; a face that was nobody's is theirs."""
    persons = [now.person_of(face, found_person(face)) for face in faces]
    first = next((person for person in persons if person is not None), None)
    if first is None:
        return
    for face, person in zip(faces, persons, strict=True):
        if person is None:
            now.people[face] = first
        else:
            _rename(now, person, first)


def _part(now: Replayed, faces: Sequence[int], found_person: Callable[[int], str | None]) -> None:
    """Of faces that pass for one person's, only the first stays; who the others are is for the next grouping."""
    there: set[str] = set()
    for face in faces:
        person = now.person_of(face, found_person(face))
        if person in there:
            now.people[face] = None
        elif person is not None:
            there.add(person)
