"""Word's equations (OMML) in one line, as they are typed: `R_n=900·1.02^n`, `(a+b)/(2c)`, `√(x)`, `∑_(i=1)^n x_i`."""

from collections.abc import Callable
from typing import Any

from outlast.documents.formats.word_package import M, W

_PROPERTIES = ("Pr",)


def linear(element: Any) -> str:
    """Write an equation, or a part of one, in one line."""
    name = element.tag.removeprefix(M) if isinstance(element.tag, str) else ""
    if element.tag in (M + "t", W + "t"):
        return element.text or ""
    if name.endswith(_PROPERTIES) or element.tag == W + "rPr":
        return ""
    write = _FORMS.get(name)
    return write(element) if write else "".join(map(linear, element))


def _fraction(element: Any) -> str:
    return f"{_group(element, 'num')}/{_group(element, 'den')}"


def _scripts(element: Any) -> str:
    below, above = _group(element, "sub"), _group(element, "sup")
    return _group(element, "e") + (f"_{below}" if below else "") + (f"^{above}" if above else "")


def _scripts_before(element: Any) -> str:
    return f"_{_group(element, 'sub')}^{_group(element, 'sup')} {_group(element, 'e')}"


def _root(element: Any) -> str:
    degree = _part(element, "deg")
    return f"root({degree}, {_part(element, 'e')})" if degree else f"√({_part(element, 'e')})"


def _sum(element: Any) -> str:
    below, above = _group(element, "sub"), _group(element, "sup")
    sign = _property(element, "naryPr", "chr", "∫")
    return sign + (f"_{below}" if below else "") + (f"^{above}" if above else "") + f" {_part(element, 'e')}"


def _brackets(element: Any) -> str:
    opening, closing = _property(element, "dPr", "begChr", "("), _property(element, "dPr", "endChr", ")")
    inside = _property(element, "dPr", "sepChr", "|").join(linear(part) for part in element.findall(M + "e"))
    return opening + inside + closing


def _function(element: Any) -> str:
    argument = _part(element, "e")
    return f"{_part(element, 'fName')}{argument if argument.startswith('(') else f'({argument})'}"


def _limit(element: Any) -> str:
    sign = "_" if element.tag == M + "limLow" else "^"
    return f"{_group(element, 'e')}{sign}{_group(element, 'lim')}"


def _accent(element: Any) -> str:
    # Unicode's combining characters follow the letter that they stand on.
    return _group(element, "e") + _property(element, "accPr", "chr", "\u0302")


def _matrix(element: Any) -> str:
    rows = [", ".join(linear(cell) for cell in row.findall(M + "e")) for row in element.findall(M + "mr")]
    return f"[{'; '.join(rows)}]"


def _lines(element: Any) -> str:
    return "; ".join(linear(line) for line in element.findall(M + "e"))


_FORMS: dict[str, Callable[[Any], str]] = {
    "f": _fraction,
    **dict.fromkeys(("sSub", "sSup", "sSubSup"), _scripts),
    "sPre": _scripts_before,
    "rad": _root,
    "nary": _sum,
    "d": _brackets,
    "func": _function,
    **dict.fromkeys(("limLow", "limUpp"), _limit),
    "acc": _accent,
    "m": _matrix,
    "eqArr": _lines,
}


def _part(element: Any, name: str) -> str:
    found = element.find(M + name)
    return "" if found is None else linear(found).strip()


def _group(element: Any, name: str) -> str:
    """Write a part, in brackets where it would otherwise run into its neighbours."""
    text = _part(element, name)
    simple = text.replace(".", "").replace(",", "").replace("\u0302", "").isalnum() or len(text) <= 1
    closed = text.startswith("(") and text.endswith(")") and text.find(")") == len(text) - 1
    return text if simple or closed else f"({text})"


def _property(element: Any, properties: str, name: str, default: str) -> str:
    found = element.find(f"{M}{properties}/{M}{name}")
    return default if found is None else str(found.get(M + "val") or "")
