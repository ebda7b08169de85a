"""Imports run one way, folders and files stay small, and what the docs say of them is true.

Who may import whom stands in `pyproject.toml`, [tool.importlinter]; `lint-imports` shows it, and so does the first test here.
"""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

import grimp
import pytest

from tests.unit.house.workflow_rules import ROOT, Source, functions, sources

SOURCES = sources()
FILES_IN_A_FOLDER, LINES_OF_A_FILE, LINES_OF_A_FUNCTION = 15, 300, 40
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "shared", "manager", "core"}


@cache
def graph() -> grimp.ImportGraph:
    """Read all imports, those for the type checker and those within functions included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    roots = project["tool"]["importlinter"]["root_packages"]
    return grimp.build_graph(*roots, exclude_type_checking_imports=False, cache_dir=None)


def broken_contracts(project: Path) -> list[str]:
    """Run `lint-imports` in a project, and name the contracts that do not hold."""
    lint = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    wide = {**os.environ, "COLUMNS": "200"}
    ran = subprocess.run(lint, cwd=project, env=wide, capture_output=True, text=True, timeout=60, check=False)
    broken = re.findall(r"^(.+) BROKEN", ran.stdout, re.MULTILINE)
    assert ran.returncode == bool(broken), ran.stdout + ran.stderr
    return broken


def test_imports_keep_the_contracts() -> None:
    assert broken_contracts(ROOT) == [], "run lint-imports: it shows each import and its line"


def test_a_contract_that_is_broken_is_named(tmp_path: Path) -> None:
    """A made-up library under the same contracts: it imports its application, and a cycle hides behind TYPE_CHECKING."""
    house = tmp_path / "madeup"
    (house / "app").mkdir(parents=True)
    (house / "__init__.py").touch()
    (house / "app" / "__init__.py").touch()
    (house / "one.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from madeup import two\n")
    (house / "two.py").write_text("import madeup.one\nfrom madeup.app import three\n")
    (house / "app" / "three.py").write_text("def f():\n    import anthropic\n")
    rules = """
[tool.importlinter]
root_packages = ["madeup"]
include_external_packages = true
exclude_type_checking_imports = false
[[tool.importlinter.contracts]]
name = "library"
type = "forbidden"
source_modules = ["madeup.one", "madeup.two"]
forbidden_modules = ["madeup.app"]
[[tool.importlinter.contracts]]
name = "cycle"
type = "acyclic_siblings"
ancestors = ["madeup"]
[[tool.importlinter.contracts]]
name = "anthropic"
type = "protected"
protected_modules = ["anthropic"]
allowed_importers = ["madeup.one"]
[[tool.importlinter.contracts]]
name = "kept"
type = "protected"
protected_modules = ["anthropic"]
allowed_importers = ["madeup.app.three"]
"""
    (tmp_path / "pyproject.toml").write_text(rules)
    assert broken_contracts(tmp_path) == ["library", "cycle", "anthropic"]


def test_no_module_imports_itself_by_a_detour() -> None:
    """No cycle anywhere, not even between folders; the error names its modules."""
    imports = graph()
    TopologicalSorter({one: imports.find_modules_directly_imported_by(one) for one in imports.modules}).prepare()


def test_a_folder_has_few_files_and_each_is_short_and_named_after_what_it_does() -> None:
    folders: dict[str, int] = {}
    for source in SOURCES:
        folder = source.path.rpartition("/")[0]
        folders[folder] = folders.get(folder, 0) + 1
    assert {folder: count for folder, count in folders.items() if count > FILES_IN_A_FOLDER} == {}
    long = {source.path: len(source.text.splitlines()) for source in SOURCES}
    assert {path: lines for path, lines in long.items() if lines > LINES_OF_A_FILE} == {}
    assert [path for path in long if SAYS_NOTHING & set(path.removesuffix(".py").split("/"))] == []


def statements(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function's body, without its docstring and the functions within it."""
    said = ast.get_docstring(function) is not None
    body = function.body[said:]
    inner = [each for each in functions(ast.Module(body, [])) if each is not function]
    outer = [each for each in inner if not any(each is not other and _within(each, other) for other in inner)]
    end = function.end_lineno or 0
    return end - body[0].lineno + 1 - sum((each.end_lineno or 0) - _begin(each) + 1 for each in outer) if body else 0


def _begin(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([function.lineno, *(mark.lineno for mark in function.decorator_list)])


def _within(one: ast.AST, other: ast.AST) -> bool:
    return any(one is each for each in ast.walk(other))


def long_functions(source: Source) -> Iterator[str]:
    for function in functions(source.tree):
        if (lines := statements(function)) > LINES_OF_A_FUNCTION:
            yield f"{source.path}:{function.lineno}: {function.name} has {lines} lines; split it by what its parts do"


def test_functions_are_short() -> None:
    assert [problem for source in SOURCES for problem in long_functions(source)] == []
    body = "\n".join(["    x = 1"] * 41)
    assert len(list(long_functions(Source("made_up.py", f"def f(\n    a,\n):\n    '''Doc.'''\n{body}")))) == 1
    assert list(long_functions(Source("made_up.py", f"def f():\n    def g():\n        y = 1\n{body[10:]}"))) == []


ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def test_the_walk_of_a_request_names_files_and_what_is_in_them() -> None:
    """At most twelve files; each defines the function, class or method that the walk names in it."""
    steps = re.findall(r"^\d+\. `(\S+\.py)`: `([\w.]+)`", ARCHITECTURE, re.MULTILINE)
    assert 8 <= len(steps) <= 12
    assert len(steps) == len(re.findall(r"^\d+\. ", ARCHITECTURE, re.MULTILINE)), "a step names no file or no function"
    lost = [(path, name) for path, name in steps if name not in definitions(ROOT / path)]
    assert lost == []


def definitions(path: Path) -> set[str]:
    """Name the functions and classes of a file, methods as `Class.method`."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body if path.is_file() else []:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{each.name}" for each in functions(node)}
    return names


def test_the_longest_way_from_a_workflow_to_the_model_call_is_the_one_that_is_shown() -> None:
    shown = next(block for block in re.findall(r"```\n(.*?)\n```", ARCHITECTURE, re.DOTALL) if "workflows." in block)
    chain = shown.split("\n")
    imports, call = graph(), "outlast.llm.activities"
    assert chain[-1] == call
    ways = {name: imports.find_shortest_chain(name, call) for name in imports.find_children("workflows")}
    assert ways[chain[0]] is not None
    assert max(len(way or ()) for way in ways.values()) == len(chain) == len(ways[chain[0]] or ())
    assert all(one in imports.find_modules_that_directly_import(other) for one, other in pairwise(chain))
    assert not imports.chain_exists("workflows", "outlast.llm.claude", as_packages=True)


PAGES = [page for page in (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md") if page.name != "decisions.md"]
"""All but the log of decisions, which names files as they were called on its dates."""

FOLDERS = "activities|agents|benchmarks|cli|deploy|docs|outlast|samples|tests|workflows"


def lost_paths(page: Path) -> list[str]:
    """List the paths that a page names, in backticks or links, and that lead nowhere; `<name>` stands for any name.

    Files that a guide writes itself (`title=…`) are there once it is followed.
    """
    text = page.read_text(encoding="utf-8")
    written = set(re.findall(r'title="([^"\n]+)"', text))
    named = {path.partition(":")[0] for path in re.findall(rf"`((?:{FOLDERS})/[^`\s]+|[\w-]+\.py)`", text)}
    linked = {link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link}
    lost = [path for path in named - written if not list(ROOT.glob(re.sub(r"<[^>]+>", "*", path).rstrip("/")))]
    return [*lost, *(link for link in linked if not (page.parent / link).exists())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    assert lost_paths(page) == []


def test_a_lost_path_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`outlast/dag.py` `agents/<name>.md` `outlast/gone.py` `gone.py` [a](gone.md) [b](https://a.b/c) [c](page.md)\n"
        '`workflows/mine.py`\n```python title="workflows/mine.py"\n```\n'
    )
    assert sorted(lost_paths(page)) == ["gone.md", "gone.py", "outlast/gone.py"]


@pytest.mark.parametrize("init", sorted((ROOT / "outlast").glob("*/__init__.py")), ids=lambda init: init.parent.name)
def test_a_folder_of_the_library_says_which_file_to_open_first_and_what_others_use(init: Path) -> None:
    said = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
    files = re.findall(r"`([\w/]+\.py)`", said)
    assert files, "name the file to open first"
    assert [name for name in files if not (init.parent / name).is_file() and not (ROOT / name).is_file()] == []
    code = "\n".join(path.read_text(encoding="utf-8") for path in init.parent.rglob("*.py") if path != init)
    names = re.findall(r"`@?(\w+)(?:\(…\))?`", said)
    assert [name for name in names if not re.search(rf"\b{name}\b", code)] == []
    assert len(said.splitlines()) <= 7
