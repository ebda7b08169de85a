"""Writes the sample documents: `python -m samples.make_samples [directory]` (needs the dev dependencies).

PDF and DOCX files carry their creation time. It is fixed here, so that a second run gives the same
files and a diff shows only what somebody changed.
"""

import html
import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import docx
from docx.document import Document
from fpdf import FPDF, FontFace, XPos, YPos

from samples.sample_texts import (
    ANNUAL_RESULTS,
    GARDEN_MINUTES,
    LAMPLIGHTERS,
    QUARTERLY_STATEMENT,
    SERVICE_AGREEMENT,
    STUDIO_LEASE,
)

MADE = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each block's kind (`#`, `##`, `-`, `|`, `---` or "" for a paragraph) and its lines or items."""
    for empty, lines in groupby(text.splitlines(), key=lambda line: not line.strip()):
        if empty:
            continue
        block = list(lines)
        kind = block[0].split(" ", 1)[0]
        if kind in {"#", "##", "-", "|"}:
            yield kind, [line.removeprefix(f"{kind} ") for line in block]
        else:
            yield ("---", []) if kind == "---" else ("", [" ".join(block)])


def cells(row: str) -> list[str]:
    """Split a table row."""
    return [cell.strip() for cell in row.strip("| ").split("|")]


def write_pdf(text: str, path: Path) -> None:
    """Lay a text out on A4 pages."""
    pdf = FPDF()
    pdf.set_creation_date(MADE)
    pdf.set_margin(24)
    pdf.set_auto_page_break(auto=True, margin=20)
    # The built-in fonts know Windows-1252 by this name, which has the pound sign.
    pdf.core_fonts_encoding = "windows-1252"
    pdf.add_page()
    for kind, lines in blocks(text):
        if kind == "---":
            pdf.add_page()
        elif kind == "|":
            pdf.set_font("Helvetica", size=10)
            with pdf.table(headings_style=FontFace(emphasis="BOLD"), line_height=6) as table:
                for line in lines:
                    table.row(cells(line))
            pdf.ln(4)
        else:
            pdf.set_font("Times" if not kind else "Helvetica", "B" if kind in {"#", "##"} else "", _SIZES.get(kind, 11))
            for line in lines:
                bullet = "- " if kind == "-" else ""
                pdf.multi_cell(0, 6, bullet + line, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            pdf.ln(3)
    pdf.output(str(path))


_SIZES = {"#": 17, "##": 13}


def write_docx(text: str, path: Path) -> None:
    """Write a Word document with headings, lists and tables."""
    document = docx.Document()
    document.core_properties.created = document.core_properties.modified = MADE
    document.core_properties.author = ""
    for kind, lines in blocks(text):
        if kind == "|":
            _add_table(document, [cells(line) for line in lines])
        elif kind != "---":
            style = {"#": "Title", "##": "Heading 1", "-": "List Bullet"}.get(kind)
            for line in lines:
                document.add_paragraph(line, style)
    unpacked = io.BytesIO()
    document.save(unpacked)
    with ZipFile(unpacked) as source, ZipFile(path, "w", ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(ZipInfo(name, MADE.timetuple()[:6]), source.read(name), ZIP_DEFLATED)


def _add_table(document: Document, rows: list[list[str]]) -> None:
    table = document.add_table(len(rows), len(rows[0]), "Light Grid Accent 1")
    for row, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text


def write_html(text: str, path: Path) -> None:
    """Write a plain page with a style sheet and a menu, as such pages have."""
    title = text.splitlines()[0].removeprefix("# ")
    body = []
    for kind, lines in blocks(html.escape(text, quote=False)):
        match kind:
            case "|":
                heading, *rows = [cells(line) for line in lines]
                body.append("<table>")
                body.append("<tr>" + "".join(f"<th>{cell}</th>" for cell in heading) + "</tr>")
                body += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
                body.append("</table>")
            case "-":
                body += ["<ul>", *(f"<li>{line}</li>" for line in lines), "</ul>"]
            case "#" | "##":
                body.append(f"<h{len(kind)}>{lines[0]}</h{len(kind)}>")
            case _:
                body += [f"<p>{line}</p>" for line in lines]
    path.write_text(_PAGE.format(title=html.escape(title), body="\n".join(body)), encoding="utf-8")


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>body {{ font-family: Georgia, serif; max-width: 42em; margin: 2em auto }} td, th {{ padding: 0.2em 1em }}</style>
</head>
<body>
<nav><a href="/">Home</a> <a href="/archive">Archive</a> <a href="/contact">Contact</a></nav>
<main>
{body}
</main>
</body>
</html>
"""


def write_markdown(text: str, path: Path) -> None:
    """Write the text as it is."""
    path.write_text(text, encoding="utf-8")


SAMPLES = {
    "legal-service-agreement.pdf": (write_pdf, SERVICE_AGREEMENT),
    "legal-studio-lease.docx": (write_docx, STUDIO_LEASE),
    "financial-quarterly-statement.pdf": (write_pdf, QUARTERLY_STATEMENT),
    "financial-annual-results.html": (write_html, ANNUAL_RESULTS),
    "general-lamplighters.md": (write_markdown, LAMPLIGHTERS),
    "general-garden-minutes.html": (write_html, GARDEN_MINUTES),
}


def main() -> None:
    """Write every sample into the directory that is named, or beside this file."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("documents")
    directory.mkdir(parents=True, exist_ok=True)
    for name, (write, text) in SAMPLES.items():
        write(text, directory / name)


if __name__ == "__main__":
    main()
