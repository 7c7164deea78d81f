"""What an installation weighs: a fresh environment, the project installed, megabytes and distributions counted.

pip and setuptools, which the environment brings by itself, are not counted. Compiled bytecode is.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET_MB, TARGET_DISTRIBUTIONS = 230, 25
NOT_OURS = ("pip", "setuptools", "_distutils_hack", "distutils-precedence", "pkg_resources")


def main() -> None:
    """Install, weigh, print; exit code 1 above a target."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        binaries = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin")
        subprocess.run([binaries / "python", "-m", "pip", "install", "--quiet", ROOT], check=True)
        ask = [binaries / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        packages = Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())
        ours = [path for path in packages.iterdir() if not path.name.startswith(NOT_OURS)]
        weights = {path.name: weight(path) for path in ours}
    distributions = sum(name.endswith(".dist-info") for name in weights)
    total = sum(weights.values()) / 1e6
    for name, size in sorted(weights.items(), key=lambda item: -item[1])[:10]:
        print(f"{size / 1e6:>8.1f} MB  {name}")
    print(
        f"{total:.0f} MB (target: at most {TARGET_MB}), {distributions} distributions (target: {TARGET_DISTRIBUTIONS})"
    )
    sys.exit(total > TARGET_MB or distributions > TARGET_DISTRIBUTIONS)


def weight(path: Path) -> int:
    """Bytes on disk of a file or of everything in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file() and not each.is_symlink())


if __name__ == "__main__":
    main()
