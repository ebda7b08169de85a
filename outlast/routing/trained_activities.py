"""Sorts a text by a trained classifier, without a model call.

A classifier is read by its content reference and never by a name, so that a run which is repeated after a new one
was trained sorts as it did before.
"""

from temporalio import activity

from outlast.errors import ErrorKind, non_retryable
from outlast.routing.contracts import Labelled, LabelRequest
from outlast.routing.label_model import LabelModel, read_model
from outlast.storage.activities import ContentStore

KEPT = 8
"""How many classifiers a worker holds in memory; each takes a few megabytes."""


class TrainedRouterActivities:
    """Sorts requests on behalf of workflows."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store
        self._models: dict[str, LabelModel] = {}

    @activity.defn
    async def label_request(self, request: LabelRequest) -> Labelled:
        """Sort one text; a text of nothing but unknown words gets no category and no confidence.

        Raises ClassifierInvalid (non-retryable) and the content store's errors.
        """
        model = await self._model(request.classifier)
        text = await self._store.text(request.text)
        if not model.knows(text):
            return Labelled(category="", confidence=0.0)
        (category, confidence), *others = [(name, round(odds, 4)) for name, odds in model.probabilities(text)]
        return Labelled(category=category, confidence=confidence, others=tuple(others))

    async def _model(self, ref: str) -> LabelModel:
        """Return a classifier, read and checked against its reference once."""
        if not ref:
            raise non_retryable(
                ErrorKind.CLASSIFIER_INVALID,
                "trained: no classifier is named; train one with the command train-router and give its reference",
            )
        if ref not in self._models:
            model = read_model(await self._store.get(ref), f"content {ref}")
            self._models[ref] = model
            if len(self._models) > KEPT:
                self._models.pop(next(iter(self._models)))
        return self._models[ref]
