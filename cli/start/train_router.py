"""`starter.py train-router`: learns from labelled requests how to sort others without asking a model."""

from pathlib import Path
from typing import Annotated

import typer

from cli.start.begin import Json
from outlast.cli.leaving import WRONG, LeavingError


def train_router(
    file: Annotated[Path, typer.Argument(help="CSV with the columns text and label.", metavar="FILE")],
    name: Annotated[
        str, typer.Option(help="Keep it under this name for 'route --trained NAME'; again replaces it.")
    ] = "default",
    as_json: Json = False,
) -> None:
    """Train a classifier of requests from FILE and keep it in the content store.

    It prints how often the classifier is right on examples that it was not trained on. No server is needed.
    """
    import asyncio

    from outlast.cli.inputs import read_bytes
    from outlast.cli.printing import counted, print_json
    from outlast.cli.reaching import open_store
    from outlast.client import load_settings
    from outlast.routing.tables import TableError
    from outlast.routing.training import NAME, read_examples, router_name, train

    if not NAME.fullmatch(name):
        raise LeavingError(WRONG, f"--name {name!r}: use letters, digits, '_' and '-', at most 64")
    store = open_store(load_settings())
    try:
        examples = read_examples(read_bytes(file, "FILE"), str(file))
    except TableError as error:
        raise LeavingError(WRONG, f"FILE {error}") from error
    training = train(examples)

    async def keep() -> str:
        ref = await store.put(training.model.model_dump_json().encode())
        await store.remember(router_name(name), ref.encode(), anew=True)
        return ref

    ref = asyncio.run(keep())
    if as_json:
        print_json(
            {
                "name": name,
                "reference": ref,
                "accuracy": round(training.accuracy, 4),
                "folds": training.folds,
                "counts": examples.counts,
                "recall": {label: round(share, 4) for label, share in training.recall.items()},
                "repeated": examples.repeated,
            }
        )
        return
    width = max(map(len, examples.counts))
    for label, count in examples.counts.items():
        print(f"{label:<{width}}  {count:>5} examples  {training.recall[label]:>4.0%} found")
    left_out = f", {counted(examples.repeated, 'repeated row')} left out" if examples.repeated else ""
    print(f"accuracy {training.accuracy:.1%} on left-out examples ({training.folds} folds{left_out})")
    print(f"kept as {name!r}: {ref}")
