"""A trained classifier as plain numbers: which terms a text has, and what each of them says for each category. Pure.

It lies in the content store as JSON, so that loading it runs nothing, and it needs no library to answer. Training and
answering must cut a text into the same terms, so both take `terms` from here, and `version` says which ones they were.
"""

import math
import re
from collections import Counter
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from outlast.errors import ErrorKind, non_retryable

READ_CHARACTERS = 20_000
"""How much of a text is read; what it wants stands near its beginning, and a worker has other things to do."""
MOST_CATEGORIES = 200

_WORD = re.compile(r"\w+(?:'\w+)?|[?!%$€£]")
_PIECES = (3, 4, 5)
_BEGIN = "^"


def terms(text: str) -> list[str]:
    """Cut a text into words, pairs of neighbours and pieces of words, which stand for other forms of a word.

    Question marks, exclamation marks and signs of currencies count as words, and so does the beginning.
    """
    words = _WORD.findall(text[:READ_CHARACTERS].casefold().replace("’", "'"))
    found = list(words)
    found += [f"{word} {after}" for word, after in zip([_BEGIN, *words], words, strict=False)]
    for word in words:
        padded = f" {word} "
        found += [
            f"#{padded[start : start + length]}" for length in _PIECES for start in range(len(padded) - length + 1)
        ]
    return found


class LabelModel(BaseModel):
    """Weights of a linear classifier over the terms of a text.

    Each of `terms` has its rarity, then one weight for each of `categories`; the scores are divided by `temperature`, which was
    fitted so that the probabilities are true of texts that training has not seen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = 1
    categories: tuple[str, ...] = Field(min_length=2, max_length=MOST_CATEGORIES)
    intercepts: tuple[float, ...]
    temperature: float = Field(gt=0)
    terms: dict[str, tuple[float, ...]] = Field(min_length=1)

    @model_validator(mode="after")
    def _numbers_fit(self) -> "LabelModel":
        wanted = len(self.categories)
        if len(self.intercepts) != wanted:
            raise ValueError(f"{len(self.intercepts)} intercepts for {wanted} categories")
        wrong = next((term for term, numbers in self.terms.items() if len(numbers) != wanted + 1), None)
        if wrong is not None:
            raise ValueError(f"the term {wrong[:40]!r} needs {wanted + 1} numbers")
        return self

    def probabilities(self, text: str) -> list[tuple[str, float]]:
        """Return every category with its probability (0 to 1), likeliest first."""
        known = {term: count for term, count in Counter(terms(text)).items() if term in self.terms}
        weighed = {term: (1 + math.log(count)) * self.terms[term][0] for term, count in known.items()}
        length = math.sqrt(sum(weight * weight for weight in weighed.values())) or 1.0
        scores = list(self.intercepts)
        for term, weight in weighed.items():
            for position, number in enumerate(self.terms[term][1:]):
                scores[position] += weight / length * number
        odds = softmax([score / self.temperature for score in scores])
        return sorted(zip(self.categories, odds, strict=True), key=lambda each: (-each[1], each[0]))

    def knows(self, text: str) -> bool:
        """Whether any term of the text was seen in training; without one, the answer says nothing."""
        return any(term in self.terms for term in terms(text))


def softmax(scores: list[float]) -> list[float]:
    """Turn scores into probabilities that sum to one."""
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    return [weight / sum(weights) for weight in weights]


def read_model(data: bytes, where: str) -> LabelModel:
    """Read a trained classifier; raises ClassifierInvalid that says what `where` holds instead."""
    fix = "train one with the command train-router and use the reference that it prints"
    try:
        return LabelModel.model_validate(from_json(data, allow_inf_nan=False))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        why = f"{place}: {first['msg']}"
    except ValueError as error:
        why = f"it is not JSON ({error})"
    raise non_retryable(ErrorKind.CLASSIFIER_INVALID, f"{where} holds no trained classifier: {why[:200]}; {fix}")
