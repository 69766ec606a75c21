"""Write installer.txt: the lines of lock.txt that pin uv, which installs the rest."""

from pathlib import Path

here = Path(__file__).parent
entries = (here / "lock.txt").read_text().replace("\\\n", "\\\0").splitlines()
uv = [entry for entry in entries if entry.startswith("uv==")]
(here / "installer.txt").write_text("\n".join(uv).replace("\\\0", "\\\n") + "\n")
