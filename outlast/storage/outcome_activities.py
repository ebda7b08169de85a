"""Reads what the steps of an earlier run came to, for a fork of it."""

from temporalio import activity

from outlast.contracts import Content, StepOutcomes
from outlast.storage.activities import ContentStore


class OutcomeActivities:
    """Reads outcomes from the content store."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    @activity.defn
    async def read_outcomes(self, request: Content) -> StepOutcomes:
        """Read one list of outcomes; raises ContentMissing where it is gone."""
        return StepOutcomes.model_validate_json(await self._store.text(request))
