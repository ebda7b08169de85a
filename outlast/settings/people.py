"""Settings of people: who decides at gates, until when, and where notices to them go."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode

from outlast.file_names import own_file
from outlast.settings.base import YEAR, SettingsError, SettingsGroup, deadline_of, names_of, seconds_of, web_address

if TYPE_CHECKING:
    from outlast.contracts import DeploymentPolicy, GatePolicy, QuestionPolicy


class PeopleSettings(SettingsGroup):
    """Who decides at gates, and where notices go."""

    approver_secret: SecretStr | None = Field(default=None, min_length=32)
    """With it, decisions at gates must be signed; at least 32 characters, the same for all workers. It never enters history."""
    approver_token: SecretStr | None = None
    """Your own token, for the command line: made by `outlast approver-token`."""
    approver: str = ""
    """Your name at gates, for the starter. Default: the user name of the operating system."""
    gate_deadline: Annotated[float, NoDecode] = Field(default=86_400.0, gt=0, le=YEAR)
    """How long people have at a gate of a run that does not say it: seconds, or such as `90s`, `30m`, `24h`, `3d`."""
    gate_approvers: Annotated[tuple[str, ...], NoDecode] = ()
    """Names of those who may decide at gates, by comma; a run may name some of them. Default: anybody."""
    gate_needed: int = Field(default=1, ge=1, le=100)
    """How many different people must approve; a run may ask for more."""
    gates_file: Path = Field(default_factory=lambda: own_file("gates.toml"))
    """More of that, by risk and by tool. Default: `gates.toml`, in the working folder or beside the program, if there is one."""
    notify_urls: SecretStr | None = None
    """Where notices of gates go, as apprise writes it: `mailto://…`, `slack://…`; several by space or comma."""
    web_ui_url: str = ""
    """Address of Temporal's Web UI, for links in notices. Default: that of the running embedded stack."""
    inbox_url: str = ""
    """Address of the inbox, for the same."""

    @field_validator("web_ui_url", "inbox_url")
    @classmethod
    def _is_link(cls, value: str | None) -> str | None:
        return web_address(value)

    @field_validator("gate_deadline", mode="before")
    @classmethod
    def _reads_units(cls, value: object) -> object:
        return deadline_of(value)

    @field_validator("gate_approvers", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return names_of(value)

    def gate_policy(self) -> "DeploymentPolicy":
        """Return what this deployment says of its gates; raises SettingsError naming GATES_FILE and the wrong entry."""
        import tomllib

        from outlast.contracts import DeploymentPolicy

        said: dict[str, Any] = {
            "deadline": self.gate_deadline,
            "eligible": self.gate_approvers,
            "needed": self.gate_needed,
        }
        file = self.file_of("gates_file")
        try:
            read = tomllib.loads(file.read_text(encoding="utf-8-sig")) if file else {}
            risk, tools, questions = (_table(read.pop(name, {}), name) for name in ("risk", "tools", "questions"))
            policy = DeploymentPolicy(
                general=_policy("", said | read),
                risk={name: _policy(f"risk.{name}", each) for name, each in risk.items()},
                tools={name: _policy(f"tools.{name}", each) for name, each in tools.items()},
                questions=_questions(questions),
            )
            _check_together(policy)
        except (OSError, ValueError) as error:
            raise SettingsError(f"GATES_FILE={self.gates_file}: {_reason(error)}") from error
        return policy


_TIMES = ("deadline", "remind_every", "escalate_after")


def _table(entry: Any, where: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: write a table of fields, not {entry!r}")
    return entry


def _longest(name: str, seconds: object) -> None:
    """Raise ValueError for a time that is longer than any deadline; it would never come."""
    if isinstance(seconds, int | float) and seconds > YEAR:
        raise ValueError(f"{name}: write at most 365d")


def _policy(where: str, entry: Any) -> "GatePolicy":
    """Read one table of the file; names and times are written as in the settings."""
    from outlast.contracts import GatePolicy

    entry = _table(entry, where)
    known = [name for name in GatePolicy.model_fields if name not in ("eligible", "deadlines")]
    fields = {"eligible" if name == "approvers" else name: value for name, value in entry.items()}
    unknown = sorted(set(fields) - {*known, "eligible"})
    if unknown:
        raise ValueError(f"{where}.{unknown[0]} is unknown".lstrip(".") + "; known are approvers, " + ", ".join(known))
    try:
        for name in _TIMES:
            if name in fields:
                fields[name] = seconds_of(fields[name])
                _longest(name, fields[name])
        if isinstance(fields.get("needed"), bool):
            raise ValueError("needed: write how many people must approve")
        for name in ("eligible", "escalate_to"):
            if isinstance(names := fields.get(name), list) and any(not str(each).strip() for each in names):
                raise ValueError(f"{'approvers' if name == 'eligible' else name}: one of the names is empty")
        return GatePolicy.model_validate(fields)
    except ValueError as error:
        raise ValueError(f"{where or 'the beginning'}: {_reason(error)}") from error


def _questions(entry: dict[str, Any]) -> "QuestionPolicy":
    """Read the table of questions."""
    from outlast.contracts import QuestionPolicy

    unknown = sorted(set(entry) - set(QuestionPolicy.model_fields))
    if unknown:
        raise ValueError(f"questions.{unknown[0]} is unknown; known are {', '.join(QuestionPolicy.model_fields)}")
    try:
        read = {name: seconds_of(value) for name, value in entry.items()}
        for name, value in read.items():
            _longest(name, value)
        return QuestionPolicy.model_validate(read)
    except ValueError as error:
        raise ValueError(f"questions: {_reason(error)}") from error


def _check_together(policy: "DeploymentPolicy") -> None:
    """Raise ValueError for tables that are right each by itself and cannot hold together."""
    from outlast.contracts import Risk

    for tool in ("", *policy.tools):
        for risk in Risk:
            try:
                policy.of(risk, tool)
            except ValueError as error:
                where = f"risk.{risk}" + (f" and tools.{tool}" if tool else "")
                raise ValueError(f"{where}, with what the rest of the file says: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        found = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, found['loc']))}: {found['msg'].removeprefix('Value error, ')}".lstrip(": ")
    return str(error)
