"""Keeps the search attributes of a run up to date: AgentState and CostUsd.

To set a search attribute that is not registered blocks the run forever. So only a run that was started with
AgentPattern, by a starter that had checked that all of them are registered, sets any.
"""

from temporalio import workflow
from temporalio.common import SearchAttributeKey

PATTERN = SearchAttributeKey.for_keyword("AgentPattern")
STATE = SearchAttributeKey.for_keyword("AgentState")
COST = SearchAttributeKey.for_float("CostUsd")


def index_end(state: str, usd: float) -> None:
    """Set how a run ended and what it cost, in US dollars, where it was started with marks."""
    if workflow.info().typed_search_attributes.get(PATTERN) is not None:
        workflow.upsert_search_attributes([STATE.value_set(state), COST.value_set(round(usd, 6))])
