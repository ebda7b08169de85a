"""`setup-namespace`: registers the search attributes by which runs and gates are found."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach


def setup_namespace() -> None:
    """Register the search attributes in the namespace. Running workers use them after a restart."""
    from outlast.cli.reaching import reaching

    print(reaching(_set_up))


async def _set_up(reach: "Reach") -> str:
    from datetime import timedelta

    from temporalio.api.enums.v1 import IndexedValueType
    from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest

    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.client import missing_attributes
    from outlast.contracts import SEARCH_ATTRIBUTES

    namespace = reach.client.namespace
    missing = await missing_attributes(reach.client)
    if missing is None:
        raise LeavingError(WRONG, f"the server does not tell the search attributes of {namespace!r}; ask its operator")
    if not missing:
        return f"{namespace} has all search attributes: {', '.join(SEARCH_ATTRIBUTES)}"
    kinds = {name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{SEARCH_ATTRIBUTES[name].upper()}") for name in missing}
    wanted = AddSearchAttributesRequest(namespace=namespace, search_attributes=kinds)
    await reach.client.operator_service.add_search_attributes(wanted, timeout=timedelta(seconds=30))
    return f"{namespace}: registered {', '.join(missing)}; start workers anew, so that they use them"
