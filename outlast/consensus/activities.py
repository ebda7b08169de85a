"""Activities of a consensus on free analyses: collect what analysts claim, and group it into points.

Claims and the document are long, so both are read and kept here; a workflow sees counts and references.
"""

import asyncio
import unicodedata

from pydantic import TypeAdapter
from temporalio import activity

from outlast.consensus.agreement import Source, agreement, claims_of, listing
from outlast.consensus.contracts import AgreementSummary, Claim, Claims, ClaimsRequest, GroupRequest
from outlast.storage.activities import ContentStore

_CLAIMS = TypeAdapter(tuple[Claim, ...])
JSON = "application/json"


class ClaimActivities:
    """Collects and groups claims on behalf of workflows."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    @activity.defn
    async def collect_claims(self, request: ClaimsRequest) -> Claims:
        """Number the claims of all analysts and look up in the document what they quote."""
        sources = [
            Source(part.label or "the document", unicodedata.normalize("NFKC", await self._store.text(part)))
            for part in request.document
        ]
        # A document of a megabyte and two hundred quotes take a second, and the worker has other work meanwhile.
        claims = await asyncio.to_thread(claims_of, request.answers, sources)
        quotes = [quote for claim in claims for quote in claim.evidence]
        return Claims(
            listing=await self._store.keep(listing(claims)),
            claims=await self._store.keep(
                _CLAIMS.dump_json(tuple(claims)).decode(), media_type=JSON, by_reference=True
            ),
            count=len(claims),
            quotes=len(quotes),
            quotes_found=sum(quote.found for quote in quotes),
        )

    @activity.defn
    async def group_claims(self, request: GroupRequest) -> AgreementSummary:
        """Sort the claims into points that are agreed, disputed, or seen by one analyst alone."""
        claims = _CLAIMS.validate_json(await self._store.text(request.claims))
        found, notes = agreement(claims, request.grouping)
        quotes = [quote for claim in claims for quote in claim.evidence]
        return AgreementSummary(
            firmness=found.firmness,
            full=await self._store.keep(found.model_dump_json(), media_type=JSON, by_reference=True),
            answer=await self._store.keep(found.answer),
            agreed=len(found.agreed),
            disputed=len(found.disputed),
            single=len(found.single),
            quotes=len(quotes),
            quotes_found=sum(quote.found for quote in quotes),
            grouped=request.grouping is not None,
            notes=tuple(note[:200] for note in notes[:10]),
        )
