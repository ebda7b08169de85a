"""How this project connects to Temporal: the address, the data converter, and the running embedded stack."""

import fcntl
import json
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from outlast.command_line import start_a_server
from outlast.contracts import SEARCH_ATTRIBUTES
from outlast.settings import LOCAL_MODEL, Settings, SettingsError, learn_secrets, load_settings

if TYPE_CHECKING:  # the SDK takes a quarter of a second to import, and most commands do not need it
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
    "extended_converter",
    "has_our_converter",
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
    """Return the description of the running embedded stack (`up.json`), or None when none runs in this directory."""
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

    return extended_converter(pydantic_data_converter, payload_limit, keys, others=payload_limit)


def extended_converter(
    theirs: "DataConverter", payload_limit: int, keys: SecretStr | None = None, *, others: int | None = None
) -> "DataConverter":
    """Add what our workflows need to a data converter of somebody else's: pydantic, size limits, redaction, encryption.

    A payload codec and external storage of theirs are kept. A converter that is ours already is returned as it is.

    Args:
        theirs: The SDK's default converter or its pydantic one, perhaps with a codec.
        payload_limit: Largest message of ours, in bytes.
        keys: Keys to encrypt with, if no codec of theirs does that.
        others: Largest message that is none of our contracts, in bytes. Default: what a server takes.

    Raises:
        SettingsError: The converter converts payloads or failures in its own way, or there are two codecs.
    """
    from temporalio.contrib.pydantic import PydanticPayloadConverter
    from temporalio.converter import (
        DefaultFailureConverter,
        DefaultFailureConverterWithEncodedAttributes,
        DefaultPayloadConverter,
    )

    from outlast.storage.payload_guard import (
        SERVER_LIMIT,
        GuardedDataConverter,
        RedactingFailureConverter,
        SealedFailureConverter,
        guarded,
    )

    if has_our_converter(theirs):
        return theirs
    ours = {
        DefaultFailureConverter: RedactingFailureConverter,
        DefaultFailureConverterWithEncodedAttributes: SealedFailureConverter,
    }
    if theirs.payload_converter_class not in (DefaultPayloadConverter, PydanticPayloadConverter):
        raise SettingsError(_REFUSED.format(f"payload_converter_class={theirs.payload_converter_class.__name__}"))
    if theirs.failure_converter_class not in ours:
        raise SettingsError(_REFUSED.format(f"failure_converter_class={theirs.failure_converter_class.__name__}"))
    if keys is not None and theirs.payload_codec is not None:
        raise SettingsError(
            "data_converter: it has a payload codec, and PAYLOAD_KEYS is set, which adds another; leave one of them out"
        )
    converter = GuardedDataConverter(
        payload_codec=theirs.payload_codec,
        external_storage=theirs.external_storage,
        payload_converter_class=guarded(payload_limit, SERVER_LIMIT if others is None else others),
        failure_converter_class=ours[theirs.failure_converter_class],
    )
    if keys is None:
        return converter
    from outlast.storage.payload_codec import encrypted

    return encrypted(converter, keys.get_secret_value())


def has_our_converter(converter: "DataConverter") -> bool:
    """Whether a data converter is one that this module built."""
    from outlast.storage.payload_guard import GuardedPayloadConverter

    return issubclass(converter.payload_converter_class, GuardedPayloadConverter)


_REFUSED = (
    "data_converter: agents need the SDK's default data converter or pydantic's, and this one has {}. Connect a second client "
    "for the worker with agents and whoever starts its runs, with temporalio.contrib.pydantic.pydantic_data_converter; "
    "a payload codec (encryption, compression) of yours may stay"
)


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
    """Connect to Temporal, with the data converter of this library and, if configured, tracing.

    The server is that of the environment (`TEMPORAL_ADDRESS`, `TEMPORAL_PROFILE` …), else that of a running `outlast up`, else
    localhost:7233.

    Args:
        settings: The settings, of `load_settings`.
        plugins: Plugins of the client, such as `OutlastPlugin`.

    Raises:
        ServerUnavailableError: No server answers; the message says how to start one.
        SettingsError: The address or the profile cannot be used.

    Example:
        ```python
        client = await connect(load_settings())
        result = await client.execute_workflow(Triage.run, request, id="triage-1", task_queue="agents")
        ```
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
        if "InvalidContentType" in str(error):  # what TLS makes of an answer in clear
            switch = "TEMPORAL_API_KEY" if config.get("api_key") else "TEMPORAL_TLS"
            raise SettingsError(
                f"{switch}: it switches TLS on, and the server at {address} speaks none; leave it out, or name the address that "
                "takes TLS (TEMPORAL_ADDRESS)"
            ) from error
        raise ServerUnavailableError(
            f"no Temporal server answers at {address} ({_reason(error, address)}). {start_a_server()}"
        ) from error


async def missing_attributes(client: "Client") -> list[str] | None:
    """Name the search attributes of ours that the namespace lacks; None where the server does not list them.

    To set one that is not registered blocks a run forever, so callers ask first.
    """
    from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
    from temporalio.service import RPCError

    request = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        answer = await client.operator_service.list_search_attributes(request, timeout=timedelta(seconds=10))
    except RPCError:
        return None
    return [name for name in SEARCH_ATTRIBUTES if name not in answer.custom_attributes]


def _reason(error: Exception, address: str) -> str:
    # The SDK's core wraps the operating system's message in a dump of its own structures.
    if "failed to lookup address" in str(error):
        port = "" if re.search(r":\d+$", address) else ", and no port is named: write host:port"
        return f"its host is not known{port}"
    message = re.search(r'message: "([^"]+)"', str(error))
    return message[1].lower() if message else str(error)[:200]


def _tracing(settings: Settings) -> "list[Plugin]":
    from outlast.telemetry.switches import TelemetryError, traces_wanted

    if not traces_wanted(settings.otel_exporter_otlp_endpoint):
        return []
    from outlast.telemetry.traces import tracing

    try:
        return tracing(settings.otel_exporter_otlp_endpoint, sealed=settings.payload_keys is not None)
    except TelemetryError as error:
        raise SettingsError(str(error)) from error
