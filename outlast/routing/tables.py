"""Reads requests from CSV as spreadsheets write it: comma, semicolon or tab, UTF-8, any order of columns. Pure.

One bad row must not hide the others, so rows that cannot be read are listed, by the number that a spreadsheet shows.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

SEPARATORS = ",;\t"
PROBLEMS_SHOWN = 20


class TableError(ValueError):
    """A file that cannot be used; the message names the rows and fields, and the fix."""


@dataclass(frozen=True)
class Row:
    """The wanted fields of one row; the header is row 1."""

    number: int
    fields: dict[str, str]


@dataclass
class Table:
    """The rows that could be read, and what is wrong with the others."""

    where: str
    rows: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raise TableError if anything is wrong, with the first problems of all."""
        more = len(self.problems) - PROBLEMS_SHOWN
        listed = self.problems[:PROBLEMS_SHOWN] + ([f"… and {more} more"] if more > 0 else [])
        if listed:
            raise TableError(f"{self.where}: nothing was done:\n  " + "\n  ".join(listed))


def read_text(data: bytes, where: str) -> str:
    """Read a file as text; raises TableError where it is none."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"{where}: not UTF-8 at byte {error.start}; save it as UTF-8 text or CSV") from error
    if "\0" in text:
        raise TableError(f"{where}: a binary file; save it as UTF-8 text or CSV")
    if not text.strip():
        raise TableError(f"{where}: the file is empty; write the requests into it")
    return text


def read_table(data: bytes, where: str, columns: Sequence[str]) -> Table:
    """Read the wanted columns; raises TableError where one is missing or the quotes are wrong."""
    records = _records(read_text(data, where).lstrip("\r\n"), where)
    header = [name.strip().casefold() for name in next(records)]
    for name in columns:
        if header.count(name) != 1:
            shown = ", ".join(map(repr, header))[:200]
            wrong = "is missing" if name not in header else "is there twice"
            raise TableError(
                f"{where}: the column {name!r} {wrong}; the first row names {shown}. "
                f"It must name {' and '.join(map(repr, columns))}, once each"
            )
    places = {name: header.index(name) for name in columns}
    table = Table(where)
    for number, fields in enumerate(records, 2):
        if not fields:
            continue
        if len(fields) != len(header):
            table.problems.append(
                f"row {number}: {len(fields)} fields instead of {len(header)}; put a text that holds a separator in quotes"
            )
            continue
        table.rows.append(Row(number, {name: fields[place].strip() for name, place in places.items()}))
    return table


def _records(text: str, where: str) -> Iterator[list[str]]:
    separator = max(SEPARATORS, key=text.splitlines()[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    while True:
        number += 1
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise TableError(f"{where}: row {number}: {error}; a quote within a quoted text is doubled") from error
