"""Training a router: every way in which a file can be wrong, and numbers that mean the same here as in scikit-learn."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from cli.start.requests import read_categories, read_requests
from outlast.cli.leaving import LeavingError
from outlast.errors import ErrorKind, kind_of
from outlast.routing.label_model import LabelModel, read_model, terms
from outlast.routing.tables import TableError
from outlast.routing.training import Examples, read_examples, temperature, train

HEADER = "text,label\n"
GOOD = "".join(f"pay bill {n},billing\nfix error {n},technical\n" for n in range(6))

BROKEN: list[tuple[str, bytes, str]] = [
    ("binary", b"PK\x03\x04\x00\x00", "a binary file; save it as UTF-8"),
    ("not UTF-8", b"text,label\ncaf\xe9,billing\n", "not UTF-8 at byte 14; save it as UTF-8"),
    ("empty", b"", "the file is empty"),
    ("blank", b" \n\n", "the file is empty"),
    (
        "no label column",
        b"text,category\na,b\n",
        "the column 'label' is missing; the first row names 'text', 'category'",
    ),
    ("no text column", b"label,request\nb,a\n", "the column 'text' is missing"),
    ("no header", GOOD.encode(), "the column 'text' is missing"),
    ("column twice", b"text,label,text\na,b,c\n", "the column 'text' is there twice"),
    ("header only", HEADER.encode(), "'label' needs two categories or more, and there is none"),
    ("single class", b"text,label\na one,x\nb two,x\n", "'label' needs two categories or more, and there is 'x'"),
    ("too few", (HEADER + GOOD + "hello there,greeting\n").encode(), "'greeting' has 1; add examples"),
    ("fields", (HEADER + "pay, please,billing\n" + GOOD).encode(), "row 2: 3 fields instead of 2; put a text"),
    ("one field", (HEADER + GOOD + "pay\n").encode(), "row 14: 1 fields instead of 2"),
    ("empty text", (HEADER + GOOD + " ,billing\n").encode(), "row 14: 'text' is empty; write the request there"),
    ("no word", (HEADER + GOOD + "...,billing\n").encode(), "row 14: 'text' has no word in it"),
    ("empty label", (HEADER + GOOD + "pay me,\n").encode(), "row 14: 'label' is empty; name the category"),
    ("odd label", (HEADER + GOOD + "pay me,on time!\n").encode(), "row 14: 'label' is 'on time!'; use letters"),
    ("open quote", (HEADER + '"pay,billing\n').encode(), "row 2: unexpected end of data; a quote within"),
    ("bad quote", (HEADER + GOOD + '"pay" me,billing\n').encode(), "row 14: ',' expected after"),
    ("contradiction", (HEADER + GOOD + "Pay  bill 0,technical\n").encode(), "row 14: the text of row 2 again, there"),
]


@pytest.mark.parametrize(("data", "told"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_broken_file_is_refused_with_the_field_and_the_mend(data: bytes, told: str) -> None:
    with pytest.raises(TableError) as caught:
        read_examples(data, "mail.csv")
    assert str(caught.value).startswith("mail.csv: ")
    assert told in str(caught.value)


def test_all_bad_rows_are_listed_up_to_a_limit() -> None:
    few = HEADER + "pay,\n" + GOOD + ",billing\na,b,c\n"
    with pytest.raises(TableError) as caught:
        read_examples(few.encode(), "mail.csv")
    assert [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]] == ["row 16", "row 2", "row 15"]
    with pytest.raises(TableError, match="and 30 more"):
        read_examples((HEADER + "pay,\n" * 50).encode(), "mail.csv")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_order_of_columns_and_repeated_rows(separator: str) -> None:
    rows = ["id,LABEL,Text", *(f"7,{label},{text}" for text, label in (row.split(",") for row in GOOD.splitlines()))]
    written = "\ufeff" + "\r\n".join([*rows, rows[-1], ""])
    found = read_examples(written.replace(",", separator).encode(), "mail.csv")
    assert found.counts == {"billing": 6, "technical": 6}
    assert found.repeated == 1
    assert found.examples[0].text == "pay bill 0"


def test_a_text_of_several_lines_counts_as_one_row() -> None:
    with pytest.raises(TableError, match="row 3: 'label' is empty"):
        read_examples((HEADER + '"pay\nthe\nbill",billing\nfix,\n').encode(), "mail.csv")


def test_our_numbers_say_what_scikit_learn_says() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    three = GOOD + "".join(f"visit the shop {n},general\n" for n in range(6))
    for source in (GOOD, three):
        examples = read_examples((HEADER + source).encode(), "mail.csv")
        model = train(examples).model
        texts, labels = zip(*((each.text, each.label) for each in examples.examples), strict=True)
        vectors = TfidfVectorizer(analyzer=terms, sublinear_tf=True)
        theirs = LogisticRegression(C=10.0, solver="saga", tol=1e-3, max_iter=2000, random_state=0).fit(
            vectors.fit_transform(texts), labels
        )
        for text in ("fix the bill, fix it!", "please pay", "shop"):
            odds = dict(zip(theirs.classes_, theirs.predict_proba(vectors.transform([text]))[0], strict=True))
            ours = dict(model.model_copy(update={"temperature": 1.0}).probabilities(text))
            assert ours == pytest.approx(odds, abs=0.002)


def test_the_temperature_makes_probabilities_as_sure_as_they_are_right() -> None:
    # Three of four are right by a margin of 1: that is as sure as 1 / (1 + e^(-1/t)) = 0.75 says.
    scores = [[1.0, 0.0]] * 4
    assert temperature(scores, [0, 0, 0, 1]) == pytest.approx(1 / math.log(3), rel=0.01)


def test_terms_know_words_neighbours_pieces_and_signs() -> None:
    found = terms("Don’t PAY?")
    assert {"don't", "pay", "?", "^ don't", "don't pay", "pay ?", "# pa", "#pay", "#pay "} <= set(found)
    assert terms(" ... ") == []


GOOD_MODEL: dict[str, Any] = {
    "categories": ["a", "b"],
    "intercepts": [0, 0],
    "temperature": 1,
    "terms": {"pay": [1, 1, -1]},
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"categories": ["a"]}, "categories"),
        ({"intercepts": [0]}, "1 intercepts for 2 categories"),
        ({"terms": {"pay": [1, 1]}}, "the term 'pay' needs 3 numbers"),
        ({"terms": {}}, "terms"),
        ({"temperature": 0}, "temperature"),
        ({"version": 2}, "version"),
    ],
)
def test_what_is_no_classifier_is_refused(change: dict[str, Any], told: str) -> None:
    assert read_model(json.dumps(GOOD_MODEL).encode(), "it").probabilities("pay")[0][0] == "a"
    with pytest.raises(ApplicationError) as caught:
        read_model(json.dumps(GOOD_MODEL | change).encode(), "content X")
    assert kind_of(caught.value) is ErrorKind.CLASSIFIER_INVALID
    assert "content X holds no trained classifier" in str(caught.value)
    assert told in str(caught.value)
    assert "train-router" in str(caught.value)


@pytest.mark.parametrize("data", [b"\x80\x04\x95", b"[]", b"{", b'{"temperature": NaN}', b""])
def test_bytes_of_another_kind_are_refused(data: bytes) -> None:
    with pytest.raises(ApplicationError, match="holds no trained classifier"):
        read_model(data, "content X")


def test_a_text_without_known_terms_is_not_known() -> None:
    model = LabelModel.model_validate(GOOD_MODEL)
    assert model.knows("PAY!")
    assert not model.knows("吾輩は猫である")


class TestWhatRouteIsGiven:
    """Requests and categories from files."""

    def test_lines_and_rows_are_named_by_their_number(self, tmp_path: Path) -> None:
        lines = tmp_path / "mail.txt"
        lines.write_text("first\n\n  second \n")
        assert read_requests(None, lines) == {"line 1": "first", "line 3": "second"}
        rows = tmp_path / "mail.CSV"
        rows.write_text('id;text\n1;"first;\nreally"\n2;second\n')
        assert read_requests(None, rows) == {"row 2": "first;\nreally", "row 3": "second"}
        assert read_requests(" one ", None) == {"request": "one"}

    @pytest.mark.parametrize(
        ("name", "data", "told"),
        [
            ("a.csv", b"request\nx\n", "the column 'text' is missing"),
            ("a.csv", b"text,b\n,x\n", "row 2: 'text' is empty"),
            ("a.csv", b"text,b\n", "no row below the header"),
            ("a.txt", b"\n", "the file is empty"),
            ("a.txt", b"x\n" * 201, "201 requests, over 200 for one run; split the file"),
            ("missing.txt", None, "cannot be read"),
        ],
    )
    def test_a_broken_file_of_requests(self, tmp_path: Path, name: str, data: bytes | None, told: str) -> None:
        file = tmp_path / name
        if data is not None:
            file.write_bytes(data)
        with pytest.raises(LeavingError) as caught:
            read_requests(None, file)
        assert str(caught.value).startswith("--file ")
        assert told in str(caught.value)

    def test_one_of_request_and_file(self, tmp_path: Path) -> None:
        for request, file in ((None, None), ("x", tmp_path), (" ", None)):
            with pytest.raises(LeavingError, match="REQUEST"):
                read_requests(request, file)

    @pytest.mark.parametrize(
        ("written", "told"),
        [
            ("[", "not JSON"),
            ("[]", "there is none in it"),
            ('[{"name": "a b", "agent": "x", "description": "d"}]', "0.name"),
            ('[{"name": "a"}]', "0.agent: Field required"),
        ],
    )
    def test_broken_categories(self, tmp_path: Path, written: str, told: str) -> None:
        file = tmp_path / "categories.json"
        file.write_text(written)
        with pytest.raises(LeavingError) as caught:
            read_categories(file)
        assert told in str(caught.value)

    def test_own_categories(self, tmp_path: Path) -> None:
        file = tmp_path / "categories.json"
        file.write_text('[{"name": "a", "agent": "writer", "description": "d", "alone": true}]')
        (found,) = read_categories(file)
        assert (found.name, found.alone) == ("a", True)


def test_examples_count_by_name() -> None:
    assert Examples(()).counts == {}
