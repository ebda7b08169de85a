"""What was filled into a PDF or written on it and is no part of its pages: form fields (AcroForm, XFA), text boxes, comments."""

from collections.abc import Iterator
from typing import Any

from lxml import etree
from pypdf import PdfReader
from pypdf.generic import IndirectObject

from outlast.errors import ErrorKind, non_retryable

_RADIO, _BUTTON, _PASSWORD = 1 << 15, 1 << 16, 1 << 13
_HIDDEN = 1 << 1
_XFA_DATA = "{http://www.xfa.org/schema/xfa-data/1.0/}data"
_PLACEHOLDER = ("please wait", "if this message is not eventually replaced")
_EMPTY = "(empty)"


def form_text(reader: PdfReader, name: str, pages: list[str]) -> str:
    """Return the fields of a form with their values; takes out the page that a form of Adobe's XFA shows in other programs.

    Raises DocumentUnsupported for an XFA form without data, and for a portfolio, whose page only says what to open it with.
    """
    _refuse_portfolio(reader, name)
    xfa = _xfa_packets(reader)
    fields = list(_fields(reader))
    if not xfa:
        return _listed(fields)
    filled = list(_xfa_fields(xfa))
    first = " ".join(pages[0].lower().split()) if pages else ""
    # Adobe's own mark of a form whose page is no page; older ones have none, but the words are always the same.
    unshown = _resolved(reader.root_object.get("/NeedsRendering")) == True  # noqa: E712 - pypdf's own kind of boolean
    if not unshown and not all(words in first for words in _PLACEHOLDER):
        return _listed(fields or filled)
    if not filled:
        raise non_retryable(
            ErrorKind.DOCUMENT_UNSUPPORTED,
            f"{name} is an XFA form, whose pages only Adobe's programs can show, and nothing is filled in; open it in Adobe "
            f"Acrobat Reader and print it to a new PDF.",
        )
    pages[:] = ["[An XFA form: what is printed on its pages is not read, only what was filled in.]"]
    return _listed(filled)


def annotations(page: Any) -> Iterator[str]:
    """Yield the text boxes, stamps and comments that were put on a page."""
    for reference in _resolved(page.get("/Annots")) or ():
        note = _resolved(reference)
        if not isinstance(note, dict) or int(_resolved(note.get("/F")) or 0) & _HIDDEN:
            continue
        kind, text = str(note.get("/Subtype")), " ".join(str(_resolved(note.get("/Contents")) or "").split())
        if not text or kind in ("/Widget", "/Link", "/Popup"):
            continue
        author = str(_resolved(note.get("/T")) or "")
        yield f"[text box] {text}" if kind == "/FreeText" else f"[comment{author and f' by {author}'}] {text}"


def _refuse_portfolio(reader: PdfReader, name: str) -> None:
    if "/Collection" in reader.root_object and reader.attachments:
        files = list(reader.attachments)
        raise non_retryable(
            ErrorKind.DOCUMENT_UNSUPPORTED,
            f"{name} is a portfolio of {len(files)} files ({', '.join(files[:5])}); save them from a PDF reader and hand them in "
            f"one by one.",
        )


def _listed(fields: list[tuple[str, str]]) -> str:
    return "\n".join(["Form fields:", *(f"- {label}: {value}" for label, value in fields)]) if fields else ""


def _fields(reader: PdfReader) -> Iterator[tuple[str, str]]:
    fields = reader.get_fields() or {}
    for name, field in fields.items():
        # The kind and the flags of a field may stand at the field above it.
        above = fields.get(name.rpartition(".")[0], {})
        kind = str(field.get("/FT") or above.get("/FT") or "")
        flags = int(_resolved(field.get("/Ff")) or _resolved(above.get("/Ff")) or 0)
        value = _value(field, kind, flags)
        if value is not None:
            shown = " ".join(str(_resolved(field.get("/TU")) or "").split())
            yield (f"{name} ({shown})" if shown and shown != name else name), value


def _value(field: Any, kind: str, flags: int) -> str | None:
    """Return what a field holds, in words; None for what holds nothing by its nature."""
    value = _resolved(field.get("/V"))
    if kind == "/Btn":
        if flags & _BUTTON:
            return None
        state = "" if value is None else str(value).removeprefix("/")
        chosen = "" if state in ("", "Off") else state
        if flags & _RADIO:
            return _option(field, chosen) or "(none chosen)"
        others = [each for each in _resolved(field.get("/_States_")) or () if each != "/Off"]
        return "no" if not chosen else _option(field, chosen) if len(others) > 1 else "yes"
    if kind == "/Sig":
        return "not signed" if value is None else "signed"
    if kind == "/Tx" and flags & _PASSWORD:
        return "(hidden)" if value else _EMPTY
    if kind not in ("/Tx", "/Ch"):
        return None
    values = value if isinstance(value, list) else [value]
    return ", ".join(filter(None, (_option(field, _words(each)) for each in values))) or _EMPTY


def _words(value: Any) -> str:
    value = _resolved(value)
    if value is None:
        return ""
    data = value.get_data().decode("utf-8", "replace") if hasattr(value, "get_data") else str(value)
    return " ".join(data.split())


def _option(field: Any, chosen: str) -> str:
    """Return how a choice is shown, where the form knows it by a number or an abbreviation."""
    options = _resolved(field.get("/Opt")) or []
    for place, option in enumerate(map(_resolved, options)):
        pair = [str(_resolved(each)) for each in option] if isinstance(option, list) else [str(place), str(option)]
        if len(pair) == 2 and pair[0] == chosen:
            return pair[1]
    return chosen


def _xfa_packets(reader: PdfReader) -> list[bytes]:
    form = _resolved(reader.root_object.get("/AcroForm"))
    xfa = _resolved(form.get("/XFA")) if isinstance(form, dict) else None
    if xfa is None:
        return []
    if isinstance(xfa, list):
        return [packet for name, packet in (reader.xfa or {}).items() if str(name) == "datasets"] or [b""]
    return [xfa.get_data()]


def _xfa_fields(packets: list[bytes]) -> Iterator[tuple[str, str]]:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    for packet in filter(None, packets):
        for data in etree.fromstring(packet, parser).iter(_XFA_DATA):
            for form in data:
                yield from _leaves(form, "")


def _leaves(element: Any, path: str) -> Iterator[tuple[str, str]]:
    for child in element:
        name = f"{path}{etree.QName(child).localname}"
        markup = any(each.tag.startswith("{http://www.w3.org/1999/xhtml}") for each in child)
        if len(child) and not markup:
            yield from _leaves(child, f"{name}.")
        else:
            yield name, " ".join("".join(child.itertext()).split()) or _EMPTY


def _resolved(value: Any) -> Any:
    return value.get_object() if isinstance(value, IndirectObject) else value
