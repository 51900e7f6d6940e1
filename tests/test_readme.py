import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_library_sample_runs(whole_samples: Path, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "samples").symlink_to(whole_samples)
    script = code + "\nassert (chip.shape, mask.shape, left_eye.shape) == ((256, 256, 3), (256, 256), (2,))\n"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "251 faces in 77 frames\n"


def test_the_terminal_session_shows_what_the_commands_print(whole_samples: Path, tmp_path: Path) -> None:
    session = re.findall(r"^    (.*)$", README.read_text().partition("## On the command line")[2], re.MULTILINE)
    written = [line for line in session if line.startswith("{")]
    (tmp_path / "samples").symlink_to(whole_samples)
    commands = [line.removeprefix("$ faceloom ") for line in session if line.startswith("$ faceloom")]
    printed = ""
    for command in commands:
        full = f"{sys.executable} -m faceloom.cli.main {command}"
        done = subprocess.run(full, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
        printed += done.stdout
    assert "251 faces in 77 frames" in printed
    # The clip is encoded on this machine, so its pixels, and the last digits, may differ from those written down.
    assert written[0][:70] == printed.splitlines()[-1][:70]
