import pytest

import faceloom
from faceloom.diagnosis import machine


def test_the_doctor_answers_with_findings_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    findings = faceloom.doctor()
    assert {finding.name for finding in findings} >= {"python", "engine", "codecs", "memory", "cache"}
    assert all(isinstance(finding, faceloom.Finding) and finding.found for finding in findings)
    assert all(finding.fix for finding in findings if finding.verdict is faceloom.Verdict.WRONG)
    assert capfd.readouterr() == ("", "")


def test_a_check_that_breaks_is_a_finding_and_not_the_end_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_luck() -> None:
        raise RuntimeError("none left")

    monkeypatch.setattr(machine, "_CHECKS", (check_luck, machine._check_python))
    broken, *others = faceloom.doctor()
    assert (broken.name, broken.verdict) == ("luck", faceloom.Verdict.WRONG)
    assert "none left" in broken.found
    assert others[0].name == "python"
