"""What all spans of a process have in common, hashed once; imported only where traces are on.

The exporter groups spans by it, and the SDK's own writes all of it as JSON for each span that it hashes.
"""

from functools import cached_property

from opentelemetry.sdk.resources import Resource


class Lasting(Resource):
    """A resource that stays as it is."""

    @cached_property
    def _hash(self) -> int:
        return super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)
