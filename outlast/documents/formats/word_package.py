"""The parts of a Word file and how they refer to each other (Open Packaging Conventions), as leniently as Word reads them.

A relationship may have no target (`NULL`, a bare anchor): which only matters where it is followed, so such a file is read.
Strict files use other names for the same things; they are given the usual ones before they are parsed.
"""

import io
import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from lxml import etree

from outlast.documents.formats.detection import MAIN_PART

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"

_STRICT = (
    (b"http://purl.oclc.org/ooxml/wordprocessingml/main", W),
    (b"http://purl.oclc.org/ooxml/officeDocument/math", M),
    (b"http://purl.oclc.org/ooxml/officeDocument/relationships", R),
)


@dataclass(frozen=True, slots=True)
class Relation:
    """What a part refers to: `kind` is the last word of its type, `target` a path within the file, or an address outside it."""

    kind: str
    target: str
    external: bool


class Package:
    """A Word file, opened."""

    def __init__(self, data: bytes) -> None:
        self._archive = zipfile.ZipFile(io.BytesIO(data))
        # Some programs write names in other cases, or with backslashes, than they refer to them with.
        self._names = {_normal(name): name for name in self._archive.namelist()}

    @property
    def main(self) -> str:
        """The path of the part that holds the body; raises ValueError where there is none."""
        named = [each.target for each in self.relations("").values() if each.kind == "officeDocument"]
        usual = [name for name in self._names if MAIN_PART.fullmatch(name)]
        found = next((path for path in [*named, *sorted(usual)] if _normal(path) in self._names), None)
        if found is None:
            raise ValueError("it has no main part")
        return found

    def has(self, path: str) -> bool:
        """Whether there is a part at a path."""
        return _normal(path) in self._names

    def read(self, path: str) -> bytes:
        """Return the bytes of a part that is there."""
        return self._archive.read(self._names[_normal(path)])

    def xml(self, path: str) -> Any:
        """Parse a part; raises lxml's errors, and ValueError for a document type declaration, which no part needs."""
        data = self.read(path)
        for strict, usual in _STRICT:
            data = data.replace(strict, usual.strip("{}").encode())
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
        )
        try:
            root = etree.fromstring(data, parser)
        except etree.XMLSyntaxError as error:
            if error.code == etree.ErrorTypes.ERR_NO_MEMORY:
                raise MemoryError from None
            raise
        if root.getroottree().docinfo.internalDTD is not None:
            raise ValueError(f"{path} has a document type declaration")
        return root

    def relations(self, path: str) -> dict[str, Relation]:
        """Return what a part refers to, by id and in its order; "" is the file itself."""
        folder, name = posixpath.split(path)
        listed = posixpath.join(folder, "_rels", f"{name}.rels")
        if not self.has(listed):
            return {}
        found = {}
        for each in self.xml(listed):
            external = each.get("TargetMode") == "External"
            target = each.get("Target") or ""
            if not external:
                target = posixpath.normpath(posixpath.join("/", folder, unquote(target))).lstrip("/")
            found[each.get("Id") or ""] = Relation((each.get("Type") or "").rpartition("/")[2], target, external)
        return found

    def related(self, path: str, kind: str) -> Iterator[Any]:
        """Parse the parts of a kind (`footnotes`, `styles`) that a part refers to."""
        for relation in self.relations(path).values():
            if relation.kind == kind and not relation.external and self.has(relation.target):
                yield self.xml(relation.target)


def _normal(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()
