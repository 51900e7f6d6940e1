"""`faceloom doctor`: whether this machine can do the work, and what to mend if not."""

import argparse
from dataclasses import asdict

from faceloom.cli.commands import Command
from faceloom.cli.flags import JsonFlags
from faceloom.cli.terminal import say, say_json


def run(chosen: argparse.Namespace) -> int:
    """Prints every finding; 3 if something has to be mended first."""
    from faceloom.diagnosis.findings import Verdict
    from faceloom.diagnosis.machine import doctor

    findings = doctor()
    if chosen.json:
        say_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            say(f"{finding.verdict:<6} {finding.name:<10} {finding.found}")
            if finding.fix:
                say(f"{'':<17} -> {finding.fix}")
    return 3 if any(finding.verdict is Verdict.WRONG for finding in findings) else 0


DOCTOR = Command(
    name="doctor",
    description="Checks whether this machine can do the work, by doing a little of it, and says what to mend.",
    options=JsonFlags,
    run=run,
)
