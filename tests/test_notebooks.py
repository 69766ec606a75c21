"""The notebooks: paired with their text, with outputs in order, and run by a fresh kernel."""

import ast
import os
import shutil
from pathlib import Path

import pytest

os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")  # jupyter_core warns where nothing is said

import jupytext
import nbformat
from nbclient import NotebookClient

CHECKOUT = Path(__file__).parents[1]
FOLDER = CHECKOUT / "notebooks"
SLOW = pytest.mark.slow
NAMES = ["own_shortcut", "reading_a_sweep", "tour"]
FUNCTIONS = {"own_shortcut": ["half", "test_half_is_its_equation"], "reading_a_sweep": [], "tour": []}


def stored(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str, list[str]]]:
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def test_these_are_all() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_text_and_notebook_are_paired(name: str) -> None:
    assert cells(stored(name)) == cells(jupytext.read(FOLDER / f"{name}.py")), "Type: make notebooks"


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_there_in_order_and_name_no_machine(name: str) -> None:
    notebook = stored(name)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    path = FOLDER / f"{name}.ipynb"
    assert path.stat().st_size < 500_000
    assert str(Path.home()) + "/" not in path.read_text()
    assert str(CHECKOUT) not in path.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_holds_no_logic(name: str) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert [node.name for node in ast.walk(tree) if isinstance(node, kinds)] == FUNCTIONS[name]


@pytest.mark.parametrize(
    "name", [pytest.param("own_shortcut", marks=SLOW), "reading_a_sweep", pytest.param("tour", marks=SLOW)]
)
def test_a_fresh_kernel_runs_it(name: str, tmp_path: Path) -> None:
    before = stored(name)
    after = jupytext.read(FOLDER / f"{name}.py")
    (tmp_path / "notebooks").mkdir()
    records = Path("experiments", "degradation", "records")
    shutil.copytree(CHECKOUT / records, tmp_path / records)
    resources = {"metadata": {"path": str(tmp_path / "notebooks")}}
    NotebookClient(after, timeout=600, kernel_name="python3", resources=resources).execute()
    for old, new in zip(before.cells, after.cells, strict=True):
        if old.cell_type == "code":
            assert bool(old.outputs) == bool(new.outputs), old.source
        if "deterministic" in old.metadata.get("tags", []):
            assert printed(old) == printed(new)
