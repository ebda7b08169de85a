"""Trains a router from labelled examples: a CSV file with the columns `text` and `label`.

scikit-learn is imported when training begins and not before, because importing it takes seconds. Probabilities that a
classifier gives to its own examples are too good, so accuracy and calibration come from examples that were left out.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outlast.extras import require
from outlast.routing.label_model import MOST_CATEGORIES, LabelModel, softmax, terms
from outlast.routing.tables import Row, TableError, read_table

DEFAULT_NAME = "default"
TEXT, LABEL = "text", "label"
NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
FOLDS = 5
FEWEST = 5
"""Examples that every category needs, so that each fold can leave one out."""
STRENGTH = 10.0
"""How far the weights may go (scikit-learn's C); the best of 3, 10 and 30 on the sample's own folds."""
COLDEST, HOTTEST = 0.05, 20.0
DIGITS = 5


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


def router_name(name: str = DEFAULT_NAME) -> str:
    """Return the name under which the content store remembers the reference of a trained router."""
    return f"router/{name}"


def read_examples(data: bytes, where: str) -> Examples:
    """Read labelled texts from CSV; raises TableError that lists everything wrong in them."""
    table = read_table(data, where, (TEXT, LABEL))
    examples = [example for row in table.rows if (example := _example(row, table.problems)) is not None]
    distinct = _distinct(examples, table.problems)
    table.check()
    result = Examples(tuple(distinct), len(examples) - len(distinct))
    _check_counts(result.counts, where)
    return result


def _example(row: Row, problems: list[str]) -> Example | None:
    text, label = row.fields[TEXT], row.fields[LABEL]
    before = len(problems)
    if not terms(text):
        what = "has no word in it" if text else "is empty"
        problems.append(f"row {row.number}: {TEXT!r} {what}; write the request there or delete the row")
    if not label:
        problems.append(f"row {row.number}: {LABEL!r} is empty; name the category")
    elif not NAME.fullmatch(label):
        problems.append(f"row {row.number}: {LABEL!r} is {label[:40]!r}; use letters, digits, '_' and '-', at most 64")
    return Example(text, label, row.number) if len(problems) == before else None


def _distinct(examples: Sequence[Example], problems: list[str]) -> list[Example]:
    """Drop repeated rows, and list those that contradict each other."""
    first: dict[str, Example] = {}
    for example in examples:
        earlier = first.setdefault(" ".join(example.text.casefold().split()), example)
        if earlier.label != example.label:
            problems.append(
                f"row {example.row}: the text of row {earlier.row} again, there labelled {earlier.label!r}, here "
                f"{example.label!r}; keep the one that is right"
            )
    return list(first.values())


def _check_counts(counts: Mapping[str, int], where: str) -> None:
    if len(counts) < 2:
        names = ", ".join(map(repr, counts)) or "none"
        raise TableError(
            f"{where}: {LABEL!r} needs two categories or more, and there is {names}; add examples of others"
        )
    if len(counts) > MOST_CATEGORIES:
        raise TableError(f"{where}: {LABEL!r} has {len(counts)} categories, over {MOST_CATEGORIES}; join some")
    few = [f"{name!r} has {count}" for name, count in counts.items() if count < FEWEST]
    if few:
        raise TableError(f"{where}: every {LABEL!r} needs {FEWEST} different texts, but {', '.join(few)}; add examples")


def train(examples: Examples) -> Training:
    """Fit weights on all examples; accuracy and calibration come from folds that each leave a part out."""
    require("router", "training a router")
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
    # The default solver computes in threads that wait for each other: on a busy machine 50 s instead of 2 for 500 examples.
    classifier = LogisticRegression(C=STRENGTH, solver="saga", tol=1e-3, max_iter=2000, random_state=0)
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
