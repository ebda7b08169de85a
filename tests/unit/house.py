"""The project's Python files as the architecture tests see them: parsed, with what each one imports.

A rule is a function from a file to what is wrong in it, each with its line and what to do. Files are never imported, so a
rule also works on a made-up file.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "activities",
    "bootstrap",
    "cli",
    "local_model",
    "processes",
    "replaying",
    "rooms",
    "settings",
    "starter",
    "telemetry",
    "worker",
    "workflows",
)
NOT_OURS = ("build", "dist", "node_modules", "__pycache__")


@dataclass(frozen=True)
class Import:
    """One imported thing: `module` as far as it is a file or package, `name` what is taken out of it (or "")."""

    module: str
    name: str
    line: int

    @property
    def top(self) -> str:
        return self.module.split(".")[0]


@dataclass(frozen=True)
class Source:
    """One Python file; `path` is relative to the project."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def room(self) -> str:
        """The package or module at the top, for instance `workflows`, or `tests`."""
        return self.path.split("/")[0].removesuffix(".py")

    @cached_property
    def imports(self) -> list[Import]:
        """All imports, those inside functions included."""
        return [found for node in ast.walk(self.tree) for found in _imports(node)]

    def under(self, *folders: str) -> bool:
        return self.path.startswith(tuple(f"{folder}/" for folder in folders))


Rule = Callable[[Source], Iterator[str]]


def _imports(node: ast.AST) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, "", node.lineno) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        # A relative import keeps its dots, so that it belongs to no room and breaks all walls.
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            inner = f"{module}.{alias.name}"
            place = ROOT.joinpath(*inner.split("."))
            if not node.level and (place.is_dir() or place.with_suffix(".py").is_file()):
                yield Import(inner, "", node.lineno)
            else:
                yield Import(module, alias.name, node.lineno)


def sources(root: Path = ROOT) -> list[Source]:
    """Read every Python file of the project."""
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if not any(part.startswith(".") or part in NOT_OURS for part in parts):
            found.append(Source("/".join(parts), path.read_text(encoding="utf-8")))
    return found


def dotted(node: ast.AST) -> str:
    """Write `a.b.c` of a name or attribute; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with the name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
