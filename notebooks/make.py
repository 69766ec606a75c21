"""Run the notebooks: each .py beside this file becomes the .ipynb of its name, with the outputs of a fresh kernel.

`make notebooks` runs it. Nothing in the files tells when or where they were made, so that a second run changes little.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")  # jupyter_core warns where nothing is said

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
SECONDS = 1200  # that a cell may take


def names() -> list[str]:
    """Of the notebooks."""
    return sorted(path.stem for path in HERE.glob("*.py") if path != Path(__file__))


def text(name: str) -> nbformat.NotebookNode:
    """The notebook without outputs."""
    notebook = jupytext.read(HERE / f"{name}.py")
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def run(name: str) -> nbformat.NotebookNode:
    """The notebook with outputs. CellExecutionError where a cell fails."""
    notebook = text(name)
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(HERE)}},
    )
    client.execute()
    notebook.metadata.pop("language_info", None)
    return notebook


def main() -> None:
    """Write those that are named, or all."""
    for name in sys.argv[1:] or names():
        notebook = run(name)
        nbformat.write(notebook, HERE / f"{name}.ipynb")
        print(f"notebooks/{name}.ipynb: {len(notebook.cells)} cells")


if __name__ == "__main__":
    main()
