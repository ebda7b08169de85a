"""Every operation of the OpenAPI document answers whatever schemathesis makes of its schema, and never with a 500."""

from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.resilience.server.serving import Served

pytestmark = [pytest.mark.xdist_group("server"), pytest.mark.timeout(180)]

EXAMPLES = 4
"""Requests for each operation; more find nothing that these did not, and cost a run each."""
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


def test_no_request_is_answered_with_an_error_of_ours(served: Served) -> None:
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    asked: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    headers = {"Authorization": f"Bearer {served.tokens['ada']}"}

    def ask(case: Any) -> None:
        response = case.call(base_url=served.url, headers=headers, timeout=30)
        asked[case.operation.label] += 1
        statuses[response.status_code] += 1
        case.validate_response(response, checks=list(CHECKS), headers=headers)

    operations = [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]  # an error raises here
    for operation in operations:
        bounded(given(case=operation.as_strategy())(lambda case: ask(case)))()
    assert len(operations) >= 22
    assert set(asked) == {operation.label for operation in operations}
    assert not [status for status in statuses if status >= 500], statuses
    assert {200, 201, 404, 422} <= set(statuses), statuses
