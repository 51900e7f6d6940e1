"""Findings: what a check of this machine says of one thing."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; the work can be done."""
    WRONG = "WRONG"
    """To be mended first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check: what was found, and what to do about it."""

    name: str
    """What was checked, in a word."""
    verdict: Verdict
    found: str
    """What there is, in a sentence."""
    fix: str = ""
    """What to do about it; empty where there is nothing to do."""
