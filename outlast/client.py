"""The closet both doors share: the settings, and the way to Temporal."""

import fcntl
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from outlast.contracts import SEARCH_ATTRIBUTES
from outlast.settings import LOCAL_MODEL, Settings, SettingsError, learn_secrets, load_settings

if TYPE_CHECKING:  # the SDK takes a quarter of a second to import, and most of the porch does not need it
    from temporalio.client import Client, Plugin
    from temporalio.converter import DataConverter

__all__ = [
    "LOCAL_MODEL",
    "ServerUnavailableError",
    "Settings",
    "SettingsError",
    "address_of",
    "connect",
    "data_converter",
    "learn_secrets",
    "load_settings",
    "missing_attributes",
    "running_stack",
    "web_ui_of",
]

DEFAULT_ADDRESS = "localhost:7233"


class ServerUnavailableError(Exception):
    """No Temporal server answers; the message says at which address and how to start one."""


def running_stack(settings: Settings) -> dict[str, Any] | None:
    """Return what the running embedded stack says of itself (`up.json`), or None when none runs in this directory."""
    described, lock = settings.state_dir / "up.json", settings.state_dir / "up.lock"
    if not described.exists() or not lock.exists():
        return None
    with lock.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            state: dict[str, Any] = json.loads(described.read_text())
            return state
    return None


def web_ui_of(settings: Settings) -> str:
    """Return the address of the Web UI: as set, else that of the running embedded stack, else ""."""
    return settings.web_ui_url or str((running_stack(settings) or {}).get("ui") or "")


def data_converter(payload_limit: int, keys: SecretStr | None = None) -> "DataConverter":
    """Build the converter for pydantic models that refuses a message over the limit, in bytes, and encrypts with the keys."""
    from temporalio.contrib.pydantic import pydantic_data_converter

    from outlast.storage.payload_guard import RedactingFailureConverter, guarded

    converter = replace(
        pydantic_data_converter,
        payload_converter_class=guarded(payload_limit),
        failure_converter_class=RedactingFailureConverter,
    )
    if keys is None:
        return converter
    from outlast.storage.payload_codec import encrypted

    return encrypted(converter, keys.get_secret_value())


def address_of(settings: Settings) -> tuple[str, dict[str, Any]]:
    """Find the server: environment or profile first, then the embedded stack of this directory, then the default port."""
    from temporalio.envconfig import ClientConfig

    try:
        config: dict[str, Any] = dict(ClientConfig.load_client_connect_config())
    except (ValueError, RuntimeError) as error:
        raise SettingsError(f"TEMPORAL_PROFILE or TEMPORAL_CONFIG_FILE: {str(error)[:300]}") from error
    stack = running_stack(settings)
    address = config.pop("target_host", None) or (stack["address"] if stack else DEFAULT_ADDRESS)
    return address, config


async def connect(settings: Settings, plugins: "Sequence[Plugin]" = ()) -> "Client":
    """Connect to Temporal by profile (`TEMPORAL_*`, `TEMPORAL_PROFILE`), with our converter and, if configured, tracing.

    Raises ServerUnavailableError, and SettingsError for an address or a profile that cannot be used.
    """
    from temporalio.client import Client
    from temporalio.service import RPCError

    address, config = address_of(settings)
    try:
        return await Client.connect(
            address,
            **config,
            data_converter=data_converter(settings.payload_limit_bytes, settings.payload_keys),
            plugins=[*plugins, *_tracing(settings)],
        )
    except ValueError as error:
        raise SettingsError(f"TEMPORAL_ADDRESS={address}: {error}; write host:port") from error
    except (RuntimeError, RPCError) as error:
        raise ServerUnavailableError(
            f"no Temporal server answers at {address} ({_reason(error)}). "
            "Start one with 'python starter.py up', or set TEMPORAL_ADDRESS."
        ) from error


async def missing_attributes(client: "Client") -> list[str] | None:
    """Name the search attributes of ours that the namespace lacks; None where the server does not tell.

    The trap: to set one that is not registered wedges a run for ever. So whoever uses them asks first.
    """
    from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
    from temporalio.service import RPCError

    asked = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        answer = await client.operator_service.list_search_attributes(asked, timeout=timedelta(seconds=10))
    except RPCError:
        return None
    return [name for name in SEARCH_ATTRIBUTES if name not in answer.custom_attributes]


def _reason(error: Exception) -> str:
    # The SDK's core wraps the operating system's words in a dump of its own structures.
    said = re.search(r'message: "([^"]+)"', str(error))
    return said[1].lower() if said else str(error)[:200]


def _tracing(settings: Settings) -> "list[Plugin]":
    from outlast.telemetry.switches import TelemetryError, traces_wanted

    if not traces_wanted(settings.otel_exporter_otlp_endpoint):
        return []
    from outlast.telemetry.traces import tracing

    try:
        return tracing(settings.otel_exporter_otlp_endpoint)
    except TelemetryError as error:
        raise SettingsError(str(error)) from error
