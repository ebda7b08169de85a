"""Settings of processes: the task queue, the embedded server, time limits, logs and telemetry."""

from typing import Literal

from pydantic import AliasChoices, Field, ValidationInfo, field_validator

from outlast.settings.base import SettingsGroup


class ProcessSettings(SettingsGroup):
    """How workers, commands and the embedded server run."""

    task_queue: str = Field(default="agents", min_length=1)
    up_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of the server that `outlast up` runs. Default: 7233 where it is free, else any; 0 is any."""
    up_ui_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of its Web UI. Default: 8233 where it is free, else any; 0 is any."""
    temporal_deployment_name: str = ""
    """The deployment that this worker is a build of, for Worker Versioning; empty switches it off."""
    temporal_worker_build_id: str = Field(default="", validate_default=True)
    """Which build: a name for this code and its dependencies that is never used twice, such as the image's tag."""
    heartbeat_timeout: float = Field(default=15.0, ge=0.5)
    """Seconds without a heartbeat after which an activity counts as lost with its machine."""
    shutdown_grace: float = Field(default=120.0, ge=0)
    """Seconds a stopping worker waits for running calls."""
    workflow_sandbox: Literal["on", "off"] = "on"
    """Whether a worker runs workflow code in Temporal's sandbox, which refuses most of what is not deterministic."""
    query_wait: float = Field(default=2.0, gt=0)
    worker_wait: float = Field(default=10.0, ge=0)
    """Seconds that commands wait: for an answer before they show what history says, and for a worker that just starts."""
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None, validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT")
    )
    """Where traces and metrics go (OTLP); both are off without it."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    log_format: Literal["", "json", "text"] = ""
    """How a worker writes its log: text on a terminal, JSON elsewhere."""

    @field_validator("temporal_deployment_name", "temporal_worker_build_id")
    @classmethod
    def _names_a_build(cls, value: str, about: ValidationInfo) -> str:
        if about.field_name == "temporal_deployment_name":
            return deployment_name(value)
        if (named := about.data.get("temporal_deployment_name")) is not None:
            build_id(value, named)
        return value


def deployment_name(value: str) -> str:
    """Return a deployment's name as it is; raises ValueError for one that the server refuses."""
    if any(sign in value for sign in ".: ") or value.startswith("__"):
        raise ValueError("a deployment's name holds no '.', ':' or blank, and does not begin with '__'")
    return value


def build_id(value: str, deployment: str) -> str:
    """Return a build's id as it is; raises ValueError for one that the server refuses, and for one half of the pair alone."""
    if value.startswith("__") or any(sign.isspace() for sign in value):
        raise ValueError("a build's id holds no blank, and does not begin with '__'")
    if deployment and not value:
        raise ValueError(f"is missing: a worker of deployment {deployment!r} has to say which build it is")
    if value and not deployment:
        raise ValueError("needs the deployment's name beside it (TEMPORAL_DEPLOYMENT_NAME, --deployment)")
    return value
