import platform
from pathlib import Path

import pytest

from faceloom.memory import other_cards
from faceloom.memory.devices import choose_devices, find_devices
from faceloom.memory.other_cards import amd_cards
from faceloom.units import GIB


@pytest.fixture
def drm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cards of AMD and one of somebody else, with the outputs of screens beside them, as Linux lists them."""
    monkeypatch.delenv("HIP_VISIBLE_DEVICES", raising=False)
    for name, vendor, gib in (("card0", "0x8086", 1), ("card1", "0x1002", 16), ("card2", "0x1002", 8)):
        device = tmp_path / "bus" / f"0000:0{9 - int(name[-1])}:00.0"
        device.mkdir(parents=True)
        (tmp_path / "drm" / name).mkdir(parents=True)
        (tmp_path / "drm" / name / "device").symlink_to(device)
        (tmp_path / "drm" / f"{name}-HDMI-A-1").mkdir()
        (device / "vendor").write_text(f"{vendor}\n")
        (device / "mem_info_vram_total").write_text(f"{gib * GIB}\n")
        (device / "mem_info_vram_used").write_text(f"{GIB}\n")
    return tmp_path / "drm"


def test_cards_of_amd_come_in_the_order_of_the_bus_with_what_is_free(drm: Path) -> None:
    assert [(total, free, number) for _, _, total, free, number in amd_cards(drm)] == [
        (8 * GIB, 7 * GIB, "0"),
        (16 * GIB, 15 * GIB, "1"),
    ]


def test_the_variable_hides_some_and_the_names_count_what_is_left(drm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "1")
    ((name, _, total, _, number),) = amd_cards(drm)
    assert (name.partition(":")[2], total, number) == ("0", 16 * GIB, "1")


@pytest.mark.parametrize(("torch", "kind"), [("2.13.0+rocm7.0", "cuda"), ("2.13.0+cpu", "rocm"), (None, "rocm")])
def test_a_card_is_called_as_what_drives_it_calls_it(
    torch: str | None, kind: str, drm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_cards, "version_of", lambda _: torch)
    assert [name for name, *_ in amd_cards(drm)] == [f"{kind}:0", f"{kind}:1"]


def test_files_that_are_not_there_mean_no_card(drm: Path, tmp_path: Path) -> None:
    for file in (tmp_path / "bus").glob("*/mem_info_vram_total"):
        file.unlink()
    assert list(amd_cards(drm)) == []
    assert list(amd_cards(tmp_path / "nowhere")) == []


def test_apples_chip_is_a_device_that_shares_the_hosts_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = find_devices()
    (chosen,) = choose_devices("mps", found, drivable={"cpu", "mps"})
    assert (chosen.kind, chosen.total_bytes, chosen.environment) == ("mps", found[0].total_bytes, ())
