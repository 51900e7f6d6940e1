"""Versions of packages are those that Python's own module tells."""

import importlib.metadata
from pathlib import Path

import pytest

from faceloom.version import version_of


def test_versions_are_those_of_pythons_own_module() -> None:
    names = {found.name for found in importlib.metadata.distributions()}
    assert len(names) > 5
    assert {name: version_of(name) for name in names} == {name: importlib.metadata.version(name) for name in names}
    assert version_of("no-such-package-anywhere") is None


def test_a_name_is_the_same_in_any_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "Some_Odd.package-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: x\nVersion: 1.2\n\nVersion: 9\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [version_of(name) for name in ("some-odd-package", "SOME.odd_package", "some.odd")] == ["1.2", "1.2", None]
