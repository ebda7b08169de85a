"""The trained router on requests that it has not seen, and the check of picked routes."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from outlast.contracts import Part, ToolCall, ToolSpec
from outlast.errors import ErrorKind, kind_of
from outlast.routing.contracts import Labelled, LabelRequest, Pick, PicksRequest
from outlast.routing.pick_activities import RoutePickActivities
from outlast.routing.trained_activities import KEPT, TrainedRouterActivities
from outlast.routing.training import Training, read_examples, router_name, train
from outlast.storage.activities import ContentStore

TESTS = Path(__file__).parents[2]
SAMPLE = TESTS.parent / "samples" / "requests" / "labelled.csv"
HELD_OUT = TESTS / "requests" / "held_out.csv"
CATEGORIES = ["billing", "escalation_required", "general_inquiry", "technical_support"]
UNLIKE = 0.35
"""Share of words that a held-out request may have in common with any example."""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def words(text: str) -> frozenset[str]:
    return frozenset(text.casefold().split())


@pytest.fixture(scope="module")
def training() -> Training:
    return train(read_examples(SAMPLE.read_bytes(), "the sample"))


@pytest.fixture
async def classifier(store: ContentStore, training: Training) -> str:
    return await store.put(training.model.model_dump_json().encode())


async def label(store: ContentStore, text: str, classifier: str) -> Labelled:
    request = LabelRequest(text=Part(text=text), classifier=classifier)
    return await ActivityEnvironment().run(TrainedRouterActivities(store).label_request, request)


def test_the_files_are_what_they_are_said_to_be() -> None:
    examples, held_out = rows(SAMPLE), rows(HELD_OUT)
    assert Counter(row["label"] for row in held_out) == dict.fromkeys(CATEGORIES, 15)
    assert min(Counter(row["label"] for row in examples).values()) >= 25
    known = [words(row["text"]) for row in examples]
    for row in held_out:
        own = words(row["text"])
        assert max(len(own & other) / len(own | other) for other in known) < UNLIKE, row["text"]


async def test_at_least_nine_of_ten_unseen_requests_are_sorted_right(store: ContentStore, classifier: str) -> None:
    env, activities = ActivityEnvironment(), TrainedRouterActivities(store)
    right = 0
    for row in rows(HELD_OUT):
        request = LabelRequest(text=Part(text=row["text"]), classifier=classifier)
        right += (await env.run(activities.label_request, request)).category == row["label"]
    assert right >= 54


def test_training_tells_how_good_it_is(training: Training) -> None:
    assert training.folds == 5
    # Measured at 0.89: well above that would mean that examples were repeated, well below that something is broken.
    assert 0.8 <= training.accuracy <= 0.95
    assert list(training.recall) == CATEGORIES
    assert min(training.recall.values()) > 0.75


async def test_the_answer_has_all_categories_with_probabilities(store: ContentStore, classifier: str) -> None:
    answer = await label(store, "Please refund the invoice that I paid twice.", classifier)
    assert answer.category == "billing"
    assert answer.confidence + sum(odds for _, odds in answer.others) == pytest.approx(1.0, abs=0.001)
    assert sorted([answer.category, *(name for name, _ in answer.others)]) == CATEGORIES
    assert [odds for _, odds in answer.others] == sorted((odds for _, odds in answer.others), reverse=True)


async def test_a_text_by_reference_and_a_very_long_one(store: ContentStore, classifier: str) -> None:
    text = "My invoice is wrong, please refund the payment. " + "And so on and so forth. " * 50_000
    kept = await store.keep(text, by_reference=True)
    request = LabelRequest(text=Part.of(kept), classifier=classifier)
    answer = await ActivityEnvironment().run(TrainedRouterActivities(store).label_request, request)
    assert answer.category in CATEGORIES


@pytest.mark.parametrize("text", ["", "...", "吾輩は猫である"])
async def test_a_text_with_nothing_known_in_it_gets_no_category(
    store: ContentStore, classifier: str, text: str
) -> None:
    answer = await label(store, text, classifier)
    assert (answer.category, answer.confidence, answer.others) == ("", 0.0, ())


async def test_what_is_no_classifier_is_told(store: ContentStore) -> None:
    for ref, kind in (
        ("", ErrorKind.CLASSIFIER_INVALID),
        (await store.put(b"hello"), ErrorKind.CLASSIFIER_INVALID),
        ("A" * 43, ErrorKind.CONTENT_MISSING),
    ):
        with pytest.raises(ApplicationError) as caught:
            await label(store, "x", ref)
        assert kind_of(caught.value) is kind
        assert caught.value.non_retryable


async def test_a_classifier_is_read_once_and_only_so_many_are_held(
    store: ContentStore, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    get = store.get

    async def counted(ref: str) -> bytes:
        read.append(ref)
        return await get(ref)

    monkeypatch.setattr(store, "get", counted)
    env, activities = ActivityEnvironment(), TrainedRouterActivities(store)
    warm = training.model.model_copy(update={"terms": {"pay": (1.0, 1.0, 0.0, 0.0, 0.0)}})
    models = [warm.model_copy(update={"temperature": 1.0 + number}) for number in range(KEPT + 1)]
    refs = [await store.put(model.model_dump_json().encode()) for model in models]
    for ref in [refs[0], refs[0], *refs, refs[0]]:
        await env.run(activities.label_request, LabelRequest(text=Part(text="pay"), classifier=ref))
    assert read == [refs[0], *refs[1:], refs[0]]


async def test_training_again_replaces_what_is_remembered(store: ContentStore) -> None:
    await store.remember(router_name(), b"first", anew=True)
    await store.remember(router_name(), b"second", anew=True)
    assert await store.recall(router_name()) == b"second"
    await store.remember(router_name(), b"third")
    assert await store.recall(router_name()) == b"second"


class TestPicks:
    """What a model filled in, against the schemas that it saw."""

    SPEC = ToolSpec(
        name="billing",
        description="d",
        input_schema={"type": "object", "properties": {"matter": {"type": "string"}}, "required": ["matter"]},
    )

    async def check(self, store: ContentStore, *calls: ToolCall, spec: ToolSpec = SPEC) -> tuple[Pick, ...]:
        specs = await store.keep(f"[{spec.model_dump_json()}]", by_reference=True)
        request = PicksRequest(calls=calls, specs=Part.of(specs))
        return (await ActivityEnvironment().run(RoutePickActivities(store).check_picks, request)).picks

    async def test_good_ones_are_kept_inline_or_by_reference(self, store: ContentStore) -> None:
        large = await store.keep('{"matter": "' + "x" * 5000 + '"}')
        short, long = await self.check(
            store,
            ToolCall(id="1", name="billing", input={"matter": "x"}),
            ToolCall(id="2", name="billing", ref=large.ref),
        )
        assert short.filled is not None
        assert short.filled.text == '{"matter": "x"}'
        assert long.filled is not None
        assert long.filled.ref == large.ref

    async def test_wrong_ones_say_what_is_wrong(self, store: ContentStore) -> None:
        missing, stranger = await self.check(
            store, ToolCall(id="1", name="billing", input={}), ToolCall(id="2", name="gardening", input={"a": 1})
        )
        assert missing.wrong == ("$: 'matter' is a required property",)
        assert stranger.wrong == ("there is no tool 'gardening'; there are billing",)
        assert missing.filled is stranger.filled is None

    @pytest.mark.parametrize("schema", [{"type": "objekt"}, {"type": "object", "$ref": "http://nowhere.invalid/x"}])
    async def test_a_broken_schema_is_the_callers_mistake(self, store: ContentStore, schema: dict[str, str]) -> None:
        spec = ToolSpec(name="billing", description="d", input_schema=schema)
        with pytest.raises(ApplicationError, match="input_schema of 'billing' is wrong") as caught:
            await self.check(store, ToolCall(id="1", name="billing", input={"a": 1}), spec=spec)
        assert kind_of(caught.value) is ErrorKind.INPUT_INVALID
