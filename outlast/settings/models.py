"""Settings of models and agents: the provider, its waits, and the files that describe them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from outlast.file_names import own_file
from outlast.settings.base import SettingsError, SettingsGroup, web_address

if TYPE_CHECKING:
    from outlast.llm.base import ModelTable

LOCAL_MODEL = "smollm2-135m-instruct"
MODELS = Path(__file__).parents[1] / "llm" / "models.toml"
"""The model table that the library brings."""

_EXAMPLES = {
    "model_aliases": '{"opus": "my-model"}',
    "model_classes": '{"opus": {"models": ["opus"], "per_second": 2, "concurrent": 8}}',
}


def _models_file() -> Path:
    own = own_file("models.toml")
    return own if own.is_file() else MODELS


class ModelSettings(SettingsGroup):
    """Which models answer, and how long a call waits for them."""

    anthropic_api_key: SecretStr | None = None
    """Key of the Claude API; without it, a token and a base URL, the local model answers."""
    anthropic_auth_token: SecretStr | None = None
    """A token sent as `Authorization: Bearer`, for gateways; beside it, the key is sent as `X-Api-Key`."""
    anthropic_base_url: str | None = None
    """Any endpoint that speaks the Messages API, with or without `/v1`."""
    model_provider: Literal["anthropic", "bedrock", "vertex"] = "anthropic"
    """Who serves Claude: Anthropic (or ANTHROPIC_BASE_URL), Amazon Bedrock, or Google Vertex AI."""
    aws_region: str = ""
    """Region of Bedrock. Default: that of the AWS profile. Credentials are found as the AWS tools find them."""
    aws_bearer_token_bedrock: SecretStr | None = None
    """An API key of Bedrock, instead of AWS credentials."""
    anthropic_bedrock_base_url: str | None = None
    """Another address for Bedrock, such as a private endpoint."""
    anthropic_vertex_project_id: str = ""
    """The Google Cloud project that Vertex AI bills. Credentials are the application default credentials."""
    cloud_ml_region: str = ""
    """Region of Vertex AI, such as `global` or `europe-west1`."""
    anthropic_vertex_base_url: str | None = None
    """Another address for Vertex AI, with `/v1`."""
    agents_dir: Path = Field(default_factory=lambda: own_file("agents"))
    """The project's agents, laid over the library's own. Default: `agents`, in the working folder or beside the program."""
    models_file: Path = Field(default_factory=_models_file)
    """Models and what they cost. Default: `models.toml`, in the working folder or beside the program, else the library's own."""
    model_aliases: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    """Overrides of aliases, as JSON: {"opus": "my-model"}."""
    model_classes: Annotated[dict[str, dict[str, Any]], NoDecode] = Field(default_factory=dict)
    """Classes of models on top of the table's, as JSON: {"opus": {"models": ["opus"], "per_second": 2, "concurrent": 8}}."""
    retry_after_cap: float = Field(default=60.0, gt=0)
    """Longest wait, in seconds, that a model API may ask for before the fallback runs."""
    provider_wait: float = Field(default=900.0, ge=0, le=10800)
    """The same for a model's provider that is overloaded, unreachable or limits the rate."""
    fallback_after: float = Field(default=60.0, ge=0)
    """Seconds after which an agent's fallback is asked instead, where the provider is away (a rate limit is waited out)."""
    model_read_timeout: float = Field(default=120.0, gt=0)
    """Longest silence, in seconds, within a stream."""

    @field_validator("model_aliases", "model_classes", mode="before")
    @classmethod
    def _read_json(cls, value: object, about: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"must be JSON such as {_EXAMPLES[about.field_name or '']}") from error

    @field_validator("anthropic_base_url", "anthropic_bedrock_base_url", "anthropic_vertex_base_url")
    @classmethod
    def _is_model_address(cls, value: str | None) -> str | None:
        return web_address(value)

    @property
    def local(self) -> bool:
        """Whether the embedded local model answers, because nothing else is configured."""
        if self.model_provider != "anthropic":
            return False
        return not (self.anthropic_api_key or self.anthropic_auth_token or self.anthropic_base_url)

    @property
    def model_source(self) -> str:
        """Who answers, for people: an address, or a name."""
        if self.model_provider == "bedrock":
            return self.anthropic_bedrock_base_url or "Claude on Amazon Bedrock"
        if self.model_provider == "vertex":
            return self.anthropic_vertex_base_url or "Claude on Google Vertex AI"
        return LOCAL_MODEL if self.local else self.anthropic_base_url or "Claude"

    def model_table(self) -> "ModelTable":
        """Read the model table with this environment's overrides; raises SettingsError naming what is wrong."""
        import tomllib

        from outlast.llm.base import ModelTable  # of no use to most commands, and slow to import

        try:
            table = ModelTable.model_validate(tomllib.loads(self.models_file.read_text()))
        except (OSError, ValueError) as error:
            raise SettingsError(f"MODELS_FILE={self.models_file} cannot be read: {error}") from error
        laid_over = {
            "aliases": {**table.aliases, **self.model_aliases},
            "classes": {**table.classes, **self.model_classes},
            "only": LOCAL_MODEL if self.local else None,
            "provider": self.model_provider,
        }
        try:  # checked once more: an alias can bring the models of two classes together
            return ModelTable.model_validate({**dict(table), **laid_over})
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, found['loc']))} {found['msg'].removeprefix('Value error, ')}".strip()
                for found in error.errors(include_input=False)
            )
            raise SettingsError(f"MODEL_CLASSES and MODEL_ALIASES, with {self.models_file}: {wrong}") from error
