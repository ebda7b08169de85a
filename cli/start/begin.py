"""What all commands that start a run share: their options, and how a run begins and is waited for.

Whatever is imported at the top here is imported by `--help` as well.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel
    from temporalio.common import Priority

    from outlast.cli.reaching import Reach

M = TypeVar("M", bound="BaseModel")
MOST_TENANT_BYTES = 64
"""Longest fairness key that the server takes."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@dataclass(frozen=True, kw_only=True)
class StartOptions:
    """The options of every command that starts a run, as typer reads them."""

    budget_usd: Annotated[
        float | None,
        typer.Option(
            "--budget-usd", help="Spend no more USD than this; a person is asked when it is reached.", min=0.000001
        ),
    ] = None
    budget_tokens: Annotated[
        int | None, typer.Option("--budget-tokens", help="Use no more tokens than this, all calls together.", min=1)
    ] = None
    budget_calls: Annotated[
        int | None, typer.Option("--budget-calls", help="Make no more model calls than this.", min=1)
    ] = None
    on_failure: Annotated[
        str | None,
        typer.Option(
            "--on-failure",
            help="When it fails, undo what its tools changed: keep (nothing), all, or to:NAME of a checkpoint.",
            metavar="WHAT",
        ),
    ] = None
    requester: Annotated[
        str | None,
        typer.Option(
            help="Who asks for it, and by default may not approve what it proposes. Default: your user name; '' names nobody.",
            metavar="NAME",
        ),
    ] = None
    gate_deadline: Annotated[
        str | None,
        typer.Option(
            "--gate-deadline", help="How long people have at its gates: such as 90s, 30m, 24h, 3d.", metavar="TIME"
        ),
    ] = None
    approver: Annotated[
        list[str] | None,
        typer.Option(help="Who may decide at its gates; give it once for each person.", metavar="NAME"),
    ] = None
    needed: Annotated[
        int | None, typer.Option(help="How many different people must approve at its gates.", min=1, max=100)
    ] = None
    on_fallback: Annotated[
        str | None,
        typer.Option(
            "--on-fallback",
            help="What an agent that fails leaves to its fallback: tell (what it did; the default), or roll_back (nothing).",
            metavar="WHAT",
        ),
    ] = None
    result_schema: Annotated[
        Path | None,
        typer.Option(
            "--result-schema",
            help="JSON schema for the result, of an object (a file, or - for stdin); the result has it as data.",
            metavar="FILE",
        ),
    ] = None
    run_id: Annotated[
        str | None, typer.Option("--id", help="Id of the run; the same id again attaches to the run that is going.")
    ] = None
    priority: Annotated[
        int | None,
        typer.Option(
            help="Whose calls go first where workers are full: 1 (first) to 5 (last); 3 by default.", min=1, max=5
        ),
    ] = None
    tenant: Annotated[
        str | None,
        typer.Option(
            help="For whom it runs: workers that are full take turns between tenants, where the server has fairness on.",
            metavar="NAME",
        ),
    ] = None
    delay: Annotated[
        str | None,
        typer.Option(
            help="Let it begin that much later, such as 90s, 30m, 2h, 3d; Temporal waits, no worker.", metavar="TIME"
        ),
    ] = None
    detach: Annotated[bool, typer.Option("--detach", help="Start it and leave; it goes on without you.")] = False
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Let watch --stream show texts sooner and whole: they enter the run's history for it."
        ),
    ] = False
    as_json: Json = False

    def request_fields(self) -> dict[str, Any]:
        """Return the fields of the request that these options set; nothing for those that were not given.

        Raises LeavingError that names the option and what to write.
        """
        from outlast.contracts import Budget

        limits = given(usd=self.budget_usd, tokens=self.budget_tokens, calls=self.budget_calls)
        budget = {"budget": Budget(**limits)} if limits else {}
        schema = {"result_schema": _schema(self.result_schema)} if self.result_schema is not None else {}
        return budget | schema | _rollback_fields(self.on_failure, self.on_fallback)

    async def begin(
        self, reach: "Reach", workflow: str, request: "BaseModel", *, summary: str, task_queue: str | None = None
    ) -> None:
        """Start a run or attach to the one of that id, and show its result unless it is detached or a schedule takes it.

        Args:
            reach: The server.
            workflow: The workflow's type.
            request: What it is started with, without requester and stream.
            summary: What the Web UI shows of it.
            task_queue: Where it goes if not to the usual one.
        """
        from outlast.cli.decisions.users import user_name
        from outlast.cli.inputs import read_delay
        from outlast.cli.printing import print_json
        from outlast.cli.runs.running import finish, start
        from outlast.command_line import command

        request = self.requested(request, user_name() if self.requester is None else self.requester.strip())
        begun = await start(
            reach,
            workflow,
            request,
            workflow_id=self.run_id,
            summary=summary,
            detach=self.detach,
            task_queue=task_queue,
            priority=self.order(),
            delay=read_delay(self.delay),
        )
        if begun is None:
            return  # a schedule has it
        handle, attached = begun
        if not self.detach:
            await finish(reach, handle, workflow, as_json=self.as_json)
        elif self.as_json:
            print_json({"id": handle.id, "attached": attached, "page": reach.page_of(handle.id)})
        else:
            print(f"{handle.id} goes on without you: {command('watch', handle.id)}")

    def requested(self, request: M, requester: str) -> M:
        """Return a request with who asks for it, its policy of gates, and its stream; raises LeavingError for a wrong option."""
        update = {"requester": requester, "gate": self._gate(request), **({"stream": True} if self.stream else {})}
        return request.model_copy(update=update)

    def _gate(self, request: "BaseModel") -> Any:
        """Return the request's policy of gates with what these options say; raises LeavingError that names a wrong one."""
        from pydantic import ValidationError

        from outlast.cli.leaving import WRONG, LeavingError
        from outlast.settings.base import deadline_of

        policy: Any = getattr(request, "gate")  # noqa: B009  # every request has one; its class is not imported for --help
        if any(not name.strip() for name in self.approver or ()):
            raise LeavingError(WRONG, "--approver is empty; name somebody, or leave it out for anybody")
        try:
            said = given(needed=self.needed, eligible=tuple(self.approver) if self.approver else None)
            said |= {"deadline": deadline_of(self.gate_deadline)} if self.gate_deadline is not None else {}
            return type(policy).model_validate(dict(policy) | said) if said else policy
        except ValidationError as error:
            found = error.errors(include_input=False)[0]
            option = {"deadline": "--gate-deadline", "needed": "--needed"}.get(
                str((*found["loc"], "")[0]), "--approver"
            )
            raise LeavingError(WRONG, f"{option}: {found['msg'].removeprefix('Value error, ')}") from None
        except ValueError as error:
            raise LeavingError(WRONG, f"--gate-deadline: {error}") from None

    def order(self) -> "Priority":
        """Return what the server orders the run's tasks by; raises LeavingError for a name that it would refuse."""
        from temporalio.common import Priority

        from outlast.cli.leaving import WRONG, LeavingError

        tenant = (self.tenant or "").strip()
        if self.tenant is not None and not 0 < len(tenant.encode()) <= MOST_TENANT_BYTES:
            raise LeavingError(WRONG, f"--tenant: write a name of 1 to {MOST_TENANT_BYTES} bytes")
        return Priority(priority_key=self.priority, fairness_key=tenant or None)


def starts_run(*, without: tuple[str, ...] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of `StartOptions`, which it gets as its keyword argument `options`.

    Args:
        without: Fields of StartOptions that this command does not offer.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        shared = [
            inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
            for each in fields(StartOptions)
            if each.name not in without
        ]
        listed: list[inspect.Parameter] = []
        for own in inspect.signature(command).parameters.values():
            listed += shared if own.name == "options" else [own.replace(kind=inspect.Parameter.KEYWORD_ONLY)]

        @wraps(command)
        def with_options(**values: Any) -> None:
            command(options=StartOptions(**{each.name: values.pop(each.name) for each in shared}), **values)

        # Typer reads the options of a command from these two.
        with_options.__signature__ = inspect.Signature(listed)  # type: ignore[attr-defined]
        with_options.__annotations__ = {each.name: each.annotation for each in listed}
        return with_options

    return decorate


def _schema(file: Path) -> dict[str, Any]:
    """Read a JSON schema; raises LeavingError that names the option and what is wrong."""
    from outlast.cli.inputs import read_json
    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.documents.parsing.schemas import schema_problem

    schema = read_json(file, "--result-schema")
    problem = schema_problem(schema)
    if not problem and (not isinstance(schema, dict) or schema.get("type") != "object"):
        problem = 'it must be the schema of an object: "type": "object"'
    if problem:
        raise LeavingError(WRONG, f"--result-schema {file}: {problem}")
    assert isinstance(schema, dict)
    return schema


def _rollback_fields(on_failure: str | None, on_fallback: str | None) -> dict[str, Any]:
    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.contracts import Extent, OnFallback, RollbackPolicy

    found: dict[str, Any] = {}
    if on_fallback is not None:
        if on_fallback not in tuple(OnFallback):
            raise LeavingError(WRONG, f"--on-fallback {on_fallback}: write {' or '.join(OnFallback)}")
        found["on_fallback"] = OnFallback(on_fallback)
    if on_failure is None:
        return found
    if on_failure.startswith("to:") and on_failure[3:].strip():
        policy = RollbackPolicy(extent=Extent.TO_CHECKPOINT, checkpoint=on_failure[3:].strip())
    elif on_failure in (Extent.KEEP, Extent.ALL):
        policy = RollbackPolicy(extent=Extent(on_failure))
    else:
        raise LeavingError(WRONG, f"--on-failure {on_failure}: write keep, all, or to:NAME")
    return found | {"on_failure": policy}


def given(**options: Any) -> dict[str, Any]:
    """Leave out what was not given, so that the contract's own default counts."""
    return {name: value for name, value in options.items() if value is not None}
