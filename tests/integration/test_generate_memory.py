"""Memory of the generator of organizations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PEAK = """
import sys
from pathlib import Path
from whohas.generate import generate
generate(Path(sys.argv[1]), int(sys.argv[2]))
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


def test_memory_does_not_grow_with_the_organization(tmp_path: Path) -> None:
    peaks: list[int] = []
    for identities in (10_000, 50_000):
        folder = tmp_path / str(identities)
        done = subprocess.run([sys.executable, "-c", PEAK, folder, str(identities)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.3 * peaks[0]
