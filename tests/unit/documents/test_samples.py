import json
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from outlast.contracts import Plan
from outlast.documents.formats.extraction import ExtractedDocument, extract

SAMPLES = Path(__file__).parents[3] / "samples"
DOCUMENTS = sorted((SAMPLES / "documents").iterdir())


def read(path: Path) -> ExtractedDocument:
    return extract(path.read_bytes(), path.name)


def table(text: str) -> dict[str, list[int]]:
    """Rows whose last two columns are whole numbers, by their name; brackets mean less than nothing."""
    found = re.findall(r"^([A-Z][^|\d]*?)[ |]+(\(?[\d,]+\)?)[ |]+(\(?[\d,]+\)?)(?: .*)?$", text, re.MULTILINE)
    return {name: [_number(now), _number(before)] for name, now, before in found}


def _number(cell: str) -> int:
    return int(cell.strip("()").replace(",", "")) * (-1 if cell.startswith("(") else 1)


@pytest.fixture(scope="module")
def remade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("remade")
    subprocess.run(
        [sys.executable, "-W", "error", "-m", "samples.make_samples", directory], cwd=SAMPLES.parent, check=True
    )
    return directory


def test_committed_documents_are_what_the_script_makes(remade: Path) -> None:
    assert [path.name for path in DOCUMENTS] == sorted(path.name for path in remade.iterdir())
    for path in DOCUMENTS:
        assert read(path) == read(remade / path.name), f"{path.name} differs: run python -m samples.make_samples"


def test_all_formats_and_subjects_are_there() -> None:
    assert {path.suffix for path in DOCUMENTS} == {".pdf", ".docx", ".html", ".md"}
    subjects = [path.name.split("-")[0] for path in DOCUMENTS]
    assert {subject: subjects.count(subject) for subject in subjects} == {"legal": 2, "financial": 2, "general": 2}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_each_document_is_small_and_of_a_readable_length(path: Path) -> None:
    found = read(path)
    assert 250 <= len(found.text.split()) <= 400
    assert path.stat().st_size < 60_000
    assert found.pages == (2 if path.suffix == ".pdf" else None)
    assert "Archive" not in found.text, "the menu of the page is not part of its text"


def test_sums_of_the_financial_documents_add_up() -> None:
    quarter = table(read(SAMPLES / "documents" / "financial-quarterly-statement.pdf").text)
    year = table(read(SAMPLES / "documents" / "financial-annual-results.html").text)
    for column in (0, 1):
        value = {name: row[column] for name, row in (quarter | year).items()}
        assert value["Revenue"] + value["Cost of sales"] == value["Gross profit"]
        costs = value["Research and development"] + value["Sales and marketing"] + value["Administration"]
        assert value["Gross profit"] + costs == value["Operating profit"]
        assert value["Operating profit"] + value["Net finance cost"] + value["Tax"] == value["Profit for the period"]
        assert value["Sensors"] + value["Calibration services"] + value["Spare parts"] == value["Revenue"]
        income = value["Shop sales"] + value["Schools and cafés"] + value["Courses and events"]
        assert income == value["Total income"]
        assert income - value["Total expenditure"] == value["Surplus or (deficit)"]


def test_the_letter_goes_out_only_when_a_person_confirms_it() -> None:
    plan = Plan.model_validate_json((SAMPLES / "plans" / "price-letter.json").read_bytes())
    assert [step.confirm for step in plan.steps] == [False, False, True]


def test_plan_is_a_graph_in_which_some_steps_run_side_by_side() -> None:
    steps = json.loads((SAMPLES / "plans" / "launch-brief.json").read_text())["steps"]
    graph = TopologicalSorter({step["step"]: step["depends_on"] for step in steps})
    graph.prepare()
    first = graph.get_ready()
    assert len(first) > 1
    assert {step["agent"] for step in steps} == {"researcher", "analyst", "writer", "reviewer"}
    assert [step["step"] for step in steps] == list(range(1, len(steps) + 1))
    assert all(before < step["step"] for step in steps for before in step["depends_on"])
    assert all(set(step) == {"step", "agent", "input", "depends_on"} and step["input"] for step in steps)
