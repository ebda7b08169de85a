"""Settings of what is kept: the content store, messages in history, their encryption."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr, field_validator

from outlast.extras import require
from outlast.settings.base import SettingsError, SettingsGroup

if TYPE_CHECKING:
    from outlast.storage.sealing import Seal


class StorageSettings(SettingsGroup):
    """Where texts are kept, and how large and how secret messages in history are."""

    content_store_url: str = ""
    """Where texts are kept: `file:///dir`, `s3://bucket/prefix`, `gs://…`, `az://…`. Default: `<state_dir>/content`."""
    content_inline_bytes: int = Field(default=1024, ge=0, le=65536)
    content_cache_bytes: int = Field(default=64 * 1024 * 1024, ge=0)
    """Most bytes of texts that a worker keeps in memory, so that none of them is read again; 0 keeps none."""
    payload_limit_bytes: int = Field(default=512 * 1024, ge=1024, le=2 * 1024 * 1024)
    """Largest single message in history; the server's own limit is 2 MB."""
    payload_keys: SecretStr | None = None
    """Keys that messages in history and content are encrypted with, `name:base64` by comma, the newest first
    (`outlast payload-key`)."""
    content_encrypted: bool = True
    """Whether content is encrypted where PAYLOAD_KEYS is set; encrypted content is read either way."""
    state_dir: Path = Path(".agentic")
    store_wait: float = Field(default=3600.0, ge=0, le=10800)
    """Longest time, in seconds, that work waits for a content store that is away, before it fails."""

    @field_validator("payload_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value().strip():
            return None
        from outlast.storage.payload_codec import read_keys

        require("encryption", "the encryption of messages")
        read_keys(value.get_secret_value())
        return value

    @field_validator("content_store_url")
    @classmethod
    def _is_store_address(cls, value: str) -> str:
        if value and not re.match(r"(file:///|(?!file:)[a-z][a-z0-9+.-]*://)", value):
            raise ValueError("must be a URL such as s3://bucket/prefix or file:///directory (three slashes)")
        return value

    @property
    def store_url(self) -> str:
        """The content store's URL, defaults resolved."""
        return self.content_store_url or (self.state_dir.resolve() / "content").as_uri()

    @contextmanager
    def store_named(self) -> Iterator[None]:
        """Name the setting that says where the store is, should it not open; raises SettingsError for OSError."""
        try:
            yield
        except OSError as error:
            named = f"CONTENT_STORE_URL={self.store_url}" if self.content_store_url else f"STATE_DIR={self.state_dir}"
            raise SettingsError(
                f"{named} cannot be opened ({error.strerror or error}); name a folder that can be made and written"
            ) from error

    def seal(self) -> "Seal":
        """Return what encrypts content with PAYLOAD_KEYS; without keys it is written in clear."""
        from outlast.storage.sealing import Seal

        if self.payload_keys is None:
            return Seal()
        from outlast.storage.payload_codec import read_keys

        return Seal(read_keys(self.payload_keys.get_secret_value()), writes=self.content_encrypted)
