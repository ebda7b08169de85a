"""Settings of processes: the task queue, the embedded server, time limits, logs and telemetry."""

from typing import Literal

from pydantic import AliasChoices, Field

from outlast.settings.base import SettingsGroup


class ProcessSettings(SettingsGroup):
    """How workers, commands and the embedded server run."""

    task_queue: str = Field(default="agents", min_length=1)
    up_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of the server that `outlast up` runs. Default: 7233 where it is free, else any; 0 is any."""
    up_ui_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of its Web UI. Default: 8233 where it is free, else any; 0 is any."""
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
