"""Virtual environments of other programs, made once below `out/peers`, with pinned packages."""

import hashlib
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "out" / "peers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One program with what it runs on."""

    name: str
    packages: tuple[str, ...]
    """What is installed, each pinned; what they depend on besides is as pip finds it."""
    weights: str | None = None
    """The network's file in the program's package, as a path below site-packages."""
    sha256: str | None = None
    """Of that file."""

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def command(self, name: str) -> str:
        """A program that one of the packages installs."""
        return str(self.folder / "bin" / name)

    def make(self) -> None:
        """Makes the environment, unless it is there with the same packages.

        Raises:
            subprocess.CalledProcessError: pip could not install the packages.
            ValueError: the program has other weights than were expected.
        """
        stamp = self.folder / "installed"
        wanted = "\n".join(self.packages)
        if not stamp.exists() or stamp.read_text() != wanted:
            print(f"installing {wanted.replace(chr(10), ', ')} into {self.folder}", file=sys.stderr)
            venv.create(self.folder, clear=True, with_pip=True, symlinks=True)
            pip = [str(self.python), "-m", "pip", "install", "--quiet", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *self.packages], check=True, stdout=sys.stderr)
            stamp.write_text(wanted)
        self._check_weights()

    def _check_weights(self) -> None:
        if self.weights is None:
            return
        (path,) = self.folder.glob(f"lib/python*/site-packages/{self.weights}")
        if hashlib.sha256(path.read_bytes()).hexdigest() != self.sha256:
            raise ValueError(f"{self.name} has other weights than faceloom: {path}")
