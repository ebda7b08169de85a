"""Trains a router from labelled examples: a CSV file with the columns `text` and `label`.

scikit-learn is imported when training begins and not before, because importing it takes seconds. The trap: probabilities that a
classifier gives to its own examples are too good, so accuracy and calibration come from examples that were left out.
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from activities.label_model import MOST_CATEGORIES, LabelModel, softmax, terms

TEXT, LABEL = "text", "label"
SEPARATORS = ",;\t"
NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
FOLDS = 5
FEWEST = 5
"""Examples that every category needs, so that each fold can leave one out."""
PROBLEMS_SHOWN = 20
STRENGTH = 10.0
"""How far the weights may go (scikit-learn's C); the best of 3, 10 and 30 on the sample's own folds."""
COLDEST, HOTTEST = 0.05, 20.0
DIGITS = 5


class TrainingError(ValueError):
    """A file that nothing can be learnt from; the message names the rows and fields, and how to mend them."""


@dataclass(frozen=True)
class Example:
    """One labelled text and the row it stands in; the header is row 1."""

    text: str
    label: str
    row: int


@dataclass(frozen=True)
class Examples:
    """What a file holds; `repeated` counts rows that say the same as an earlier one, which are left out."""

    examples: tuple[Example, ...]
    repeated: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Examples of each category, by name."""
        return dict(sorted(Counter(example.label for example in self.examples).items()))


@dataclass(frozen=True)
class Training:
    """A trained model and how often it was right on examples it was not trained on: overall, and for each category."""

    model: LabelModel
    accuracy: float
    recall: dict[str, float]
    folds: int


def read_examples(data: bytes, where: str) -> Examples:
    """Read a CSV file; raises TrainingError that lists everything wrong in it."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TrainingError(f"{where}: not UTF-8 at byte {error.start}; save it as CSV in UTF-8") from error
    if "\0" in text:
        raise TrainingError(f"{where}: a binary file, not CSV; save it as CSV in UTF-8")
    if not text.strip():
        raise TrainingError(f"{where}: the file is empty; give it the columns {TEXT!r} and {LABEL!r}")
    found, problems = _rows(text, where)
    examples, repeated, contradictions = _distinct(found)
    problems += contradictions
    if problems:
        more = len(problems) - PROBLEMS_SHOWN
        listed = problems[:PROBLEMS_SHOWN] + ([f"… and {more} more"] if more > 0 else [])
        raise TrainingError(f"{where}: nothing was trained:\n  " + "\n  ".join(listed))
    result = Examples(tuple(examples), repeated)
    _check_counts(result, where)
    return result


def _rows(text: str, where: str) -> tuple[list[Example], list[str]]:
    lines = _records(text, where)
    header = [name.strip().casefold() for name in next(lines)]
    for name in (TEXT, LABEL):
        if name not in header:
            shown = ", ".join(map(repr, header))[:200]
            raise TrainingError(
                f"{where}: the column {name!r} is missing; the first row names {shown}. "
                f"Name the columns {TEXT!r} and {LABEL!r} there"
            )
        if header.count(name) > 1:
            raise TrainingError(f"{where}: the column {name!r} is there twice; keep one of them")
    examples: list[Example] = []
    problems: list[str] = []
    for row, fields in enumerate(lines, 2):
        if not fields:
            continue
        if len(fields) != len(header):
            problems.append(
                f"row {row}: {len(fields)} fields instead of {len(header)}; put a text with a separator in quotes"
            )
            continue
        said, label = fields[header.index(TEXT)].strip(), fields[header.index(LABEL)].strip()
        if not said:
            problems.append(f"row {row}: {TEXT!r} is empty; write the request there or delete the row")
        elif not terms(said):
            problems.append(f"row {row}: {TEXT!r} has no word in it; write the request there or delete the row")
        if not label:
            problems.append(f"row {row}: {LABEL!r} is empty; name the category")
        elif not NAME.fullmatch(label):
            problems.append(f"row {row}: {LABEL!r} is {label[:40]!r}; use letters, digits, '_' and '-', at most 64")
        examples.append(Example(said, label, row))
    return examples, problems


def _records(text: str, where: str) -> Iterator[list[str]]:
    first = text.lstrip("\r\n").splitlines()[0]
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=separator, strict=True)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise TrainingError(
                f"{where}: line {reader.line_num}: {error}; check the quotes there (a quote within quotes is doubled)"
            ) from error


def _distinct(found: Sequence[Example]) -> tuple[list[Example], int, list[str]]:
    """Drop repeated rows, and list those that contradict each other."""
    first: dict[str, Example] = {}
    problems: list[str] = []
    for example in found:
        earlier = first.setdefault(" ".join(example.text.casefold().split()), example)
        if earlier.label != example.label:
            problems.append(
                f"row {example.row}: the text of row {earlier.row} again, there labelled {earlier.label!r}, here "
                f"{example.label!r}; keep the one that is right"
            )
    return list(first.values()), len(found) - len(first), problems


def _check_counts(examples: Examples, where: str) -> None:
    counts = examples.counts
    if len(counts) < 2:
        names = ", ".join(map(repr, counts)) or "none"
        raise TrainingError(f"{where}: {LABEL!r} needs two categories or more, and there is {names}; add examples")
    if len(counts) > MOST_CATEGORIES:
        raise TrainingError(f"{where}: {LABEL!r} has {len(counts)} categories, over {MOST_CATEGORIES}; join some")
    few = [f"{name!r} has {count}" for name, count in counts.items() if count < FEWEST]
    if few:
        raise TrainingError(
            f"{where}: every {LABEL!r} needs {FEWEST} different texts, but {', '.join(few)}; add examples"
        )


def train(examples: Examples) -> Training:
    """Fit weights on all examples; accuracy and calibration come from folds that each leave a part out."""
    from sklearn.model_selection import StratifiedKFold  # type: ignore[import-untyped]

    texts = [example.text for example in examples.examples]
    labels = [example.label for example in examples.examples]
    folds = min(FOLDS, *examples.counts.values())
    scores: list[list[float]] = [[] for _ in texts]
    splits = StratifiedKFold(n_splits=folds, shuffle=True, random_state=0)
    for training, left_out in splits.split(texts, labels):
        part = _fitted([texts[index] for index in training], [labels[index] for index in training])
        for index, row in zip(left_out, part.scores([texts[index] for index in left_out]), strict=True):
            scores[index] = row
    fitted = _fitted(texts, labels)
    right = [fitted.categories[row.index(max(row))] == label for row, label in zip(scores, labels, strict=True)]
    recall = {
        name: sum(hit for hit, label in zip(right, labels, strict=True) if label == name) / count
        for name, count in examples.counts.items()
    }
    wanted = [fitted.categories.index(label) for label in labels]
    model = fitted.model(temperature(scores, wanted))
    return Training(model, sum(right) / len(right), recall, folds)


@dataclass(frozen=True)
class _Fitted:
    """A vectorizer and a linear classifier that belong together."""

    vectorizer: Any
    classifier: Any

    @property
    def categories(self) -> list[str]:
        return [str(name) for name in self.classifier.classes_]

    def weights(self) -> tuple[list[list[float]], list[float]]:
        """Return one row of weights and one intercept for each category."""
        rows, intercepts = self.classifier.coef_.tolist(), self.classifier.intercept_.tolist()
        if len(self.categories) == 2:
            # Of two categories, only the second has weights of its own; the first is what they are held against.
            return [[0.0] * len(rows[0]), rows[0]], [0.0, intercepts[0]]
        return rows, intercepts

    def scores(self, texts: Sequence[str]) -> list[list[float]]:
        rows = self.classifier.decision_function(self.vectorizer.transform(texts)).tolist()
        return [row if isinstance(row, list) else [0.0, row] for row in rows]

    def model(self, heat: float) -> LabelModel:
        rows, intercepts = self.weights()
        rarity = self.vectorizer.idf_.tolist()
        numbers = {
            term: tuple(round(value, DIGITS) for value in (rarity[index], *(row[index] for row in rows)))
            for term, index in sorted(self.vectorizer.vocabulary_.items())
        }
        return LabelModel(
            categories=tuple(self.categories),
            intercepts=tuple(round(value, DIGITS) for value in intercepts),
            temperature=round(heat, DIGITS),
            terms=numbers,
        )


def _fitted(texts: Sequence[str], labels: Sequence[str]) -> _Fitted:
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    vectorizer = TfidfVectorizer(analyzer=terms, sublinear_tf=True)
    classifier = LogisticRegression(C=STRENGTH, max_iter=2000)
    classifier.fit(vectorizer.fit_transform(texts), labels)
    return _Fitted(vectorizer, classifier)


def temperature(scores: Sequence[Sequence[float]], wanted: Sequence[int]) -> float:
    """Find the divisor of the scores under which the wanted categories were likeliest all in all.

    The loss has one valley over the inverse of the temperature, so the search may halve its way down.
    """

    def loss(inverse: float) -> float:
        odds = (softmax([score * inverse for score in row])[index] for row, index in zip(scores, wanted, strict=True))
        return -sum(math.log(max(value, 1e-12)) for value in odds)

    low, high = 1 / HOTTEST, 1 / COLDEST
    while high - low > 1e-4:
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return 2 / (low + high)
