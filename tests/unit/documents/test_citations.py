"""Citations in every form that models write are numbered, and those that lead to nothing are taken out."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.search.citations import checked, names
from activities.search.contracts import Finding

FINDINGS = [
    Finding(id=name, title=f"Title {name}", url=f"https://x.example/{name}", published="2026-03-01")
    for name in ("W1", "W2", "A1", "A2", "A3", "N1")
]


def text_of(draft: str) -> str:
    """Return the checked text without its list of sources."""
    return checked(draft, FINDINGS)[0].partition("\n\n## Sources\n")[0]


@pytest.mark.parametrize(
    ("draft", "text", "cited"),
    [
        ("Warm [W1].", "Warm [1].", ["W1"]),
        ("Warm [A2]. Cold [W1]. Warm [A2].", "Warm [1]. Cold [2]. Warm [1].", ["A2", "W1"]),
        ("Warm [W1, A2].", "Warm [1, 2].", ["W1", "A2"]),
        ("Warm [W1; A2 and N1].", "Warm [1, 2, 3].", ["W1", "A2", "N1"]),
        ("Warm [W1 & W1].", "Warm [1].", ["W1"]),
        ("Warm [W1][A2].", "Warm [1][2].", ["W1", "A2"]),
        ("Warm[ w1 ].", "Warm[1].", ["W1"]),
        ("Warm [A1-A3].", "Warm [1, 2, 3].", ["A1", "A2", "A3"]),
        ("Warm [A1–3].", "Warm [1, 2, 3].", ["A1", "A2", "A3"]),
        ("Warm 【W1】.", "Warm [1].", ["W1"]),
        ("Warm [^W1].", "Warm [1].", ["W1"]),
        ("Warm [A1, p. 12].", "Warm [1].", ["A1"]),
        ("Warm (W1).", "Warm [1].", ["W1"]),
        ("Warm (W1, A2).", "Warm [1, 2].", ["W1", "A2"]),
        ("Warm ([W1]).", "Warm [1].", ["W1"]),
        ("Warm [W1](https://x.example/).", "Warm [1].", ["W1"]),
    ],
)
def test_every_form_is_numbered_in_order_of_appearance(draft: str, text: str, cited: list[str]) -> None:
    assert text_of(draft) == text
    assert [finding.id for finding in checked(draft, FINDINGS)[1]] == cited
    assert checked(draft, FINDINGS)[2] == []


@pytest.mark.parametrize(
    ("draft", "text", "removed"),
    [
        ("Warm [W9].", "Warm.", ["[W9]"]),
        ("Warm [W9] and dry.", "Warm and dry.", ["[W9]"]),
        ("[W9] Warm.", "Warm.", ["[W9]"]),
        ("- [W9] warm\n- dry", "- warm\n- dry", ["[W9]"]),
        ("Warm [W1, W9].", "Warm [1].", ["[W9]"]),
        ("Warm [W1][W9], dry [W9] [X2]!", "Warm [1], dry!", ["[W9]", "[X2]"]),
        ("Warm ([W9]).", "Warm.", ["[W9]"]),
        ("Warm [1]. Dry [2, 3].", "Warm. Dry.", ["[1]", "[2]", "[3]"]),
        ("Warm [W9](https://made.up/).", "Warm.", ["[W9]"]),
        ("Warm (W1, W8).", "Warm [1].", ["[W8]"]),
        ("Warm [[W9]1].", "Warm.", ["[W9]", "[1]"]),
    ],
)
def test_a_citation_to_nothing_is_taken_out_and_told(draft: str, text: str, removed: list[str]) -> None:
    assert text_of(draft) == text
    assert checked(draft, FINDINGS)[2] == removed


@pytest.mark.parametrize(
    "text",
    [
        "On A4 paper (A4), in [brackets], in 2024 [2024], by [Smith 2020] and [see below].",
        "A list `a[1]` and code:\n```\nx[W1] = y[2]\n```\nend",
        "A link [home](https://x.example/), a task [x] and a task [ ].",
        "",
    ],
)
def test_what_is_no_citation_stays(text: str) -> None:
    assert checked(text, FINDINGS) == (text, [], [])


def test_the_sources_stand_below_by_their_numbers() -> None:
    text, _, _ = checked("Warm [N1]. Cold [W1].", [Finding(id="W1", title="Two\nlines"), *FINDINGS[1:]])
    assert text.splitlines()[-4:] == [
        "## Sources",
        "",
        "- [1] Title N1 (2026-03-01) https://x.example/N1",
        "- [2] Two lines",
    ]


@pytest.mark.parametrize("heading", ["Sources:", "## References", "**Bibliography**", "SOURCES"])
def test_a_list_of_its_own_is_replaced_and_what_it_invents_is_told(heading: str) -> None:
    draft = f"Warm [A1].\n\n{heading}\n\n- [A1] Some title\n- [A8] Made up, https://made.up\n1. [W1] not cited"
    text, cited, removed = checked(draft, FINDINGS)
    assert text == "Warm [1].\n\n## Sources\n\n- [1] Title A1 (2026-03-01) https://x.example/A1"
    assert [finding.id for finding in cited] == ["A1"]
    assert removed == ["[A8]"]


def test_a_section_about_sources_of_heat_stays() -> None:
    draft = "Warm [A1].\n\n## Sources\n\nAir and ground are sources of heat [W1]."
    assert checked(draft, FINDINGS)[0].startswith(draft.replace("[A1]", "[1]").replace("[W1]", "[2]"))


def test_ranges_are_spelled_out_as_long_as_they_are_ranges() -> None:
    assert names("A1-A3, W2") == ["A1", "A2", "A3", "W2"]
    assert names("A1-900") == ["A1", "900"]
    assert names("A3-A1") == ["A3", "A1"]
    assert names("A1-W2") == ["A1", "W2"]


@pytest.mark.parametrize("piece", ["1", "A1 ", "[", "[W1, ", "(W1 ", " [W1]", "([", "`", "\n- ", "W1-"])
def test_crooked_texts_are_read_in_no_time(piece: str) -> None:
    started = time.process_time()
    checked("[" + piece * 20_000 + "x]", FINDINGS)
    assert time.process_time() - started < 5


@given(st.text(alphabet="[](),WA19 x.\n`", max_size=60))
def test_numbers_left_in_a_text_always_lead_to_a_source(draft: str) -> None:
    text, cited, removed = checked(draft, FINDINGS)
    _, _, found = checked(text_of(draft), [])
    assert len(cited) == len({finding.id for finding in cited})
    assert all(name.startswith("[") and name.endswith("]") for name in removed)
    if "`" not in draft:  # what stands in code is left alone
        assert {int(name.strip("[]")) for name in found if name.strip("[]").isdigit()} <= set(range(1, len(cited) + 1))
    assert text.count("## Sources") <= 1
