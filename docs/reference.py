"""The reference pages, commands.md and settings.md, with their regions as the code has them now."""

from pathlib import Path

import command_page
import settings_page

from resjax.report.markdown import fill

HERE = Path(__file__).parent
REGIONS = {HERE / "commands.md": command_page.REGIONS, HERE / "settings.md": settings_page.REGIONS}


def pages() -> dict[Path, str]:
    """Each page's text."""
    return {path: fill(path.read_text(), regions) for path, regions in REGIONS.items()}
