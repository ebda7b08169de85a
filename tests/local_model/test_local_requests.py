"""The small local model on requests that nothing was tuned on: far better than a guess, and far from the trained classifier."""

import csv
import json
from pathlib import Path

import anthropic

from outlast.llm.prompting import schema_for
from outlast.routing.categories import DEFAULT_CATEGORIES
from outlast.routing.rules import label_question, label_schema

HELD_OUT = Path(__file__).parents[1] / "requests" / "held_out.csv"


async def test_most_requests_are_sorted_right(client: anthropic.AsyncAnthropic) -> None:
    categories = {category.name: category for category in DEFAULT_CATEGORIES}
    with HELD_OUT.open(newline="") as file:
        rows = list(csv.DictReader(file))[::2]  # the half says as much, and each costs all cores a third of a second
    schema = schema_for(label_schema(categories), hints=True)
    assert schema is not None
    right = 0
    for row in rows:
        answer = await client.messages.create(
            model="haiku",
            max_tokens=64,
            messages=[
                {
                    "role": "user",
                    "content": f'<part label="request">\n{row["text"]}\n</part>\n\n{label_question(categories)}',
                }
            ],
            output_config={"format": {"type": "json_schema", "schema": schema}},
        )
        block = answer.content[0]
        assert block.type == "text"
        said = json.loads(block.text)
        assert 0 <= said["confidence"] <= 1
        right += said["category"] == row["label"]
    # Measured at 23 of these 30 (43 of all 60); a guess would get a quarter.
    assert right >= 20, right
