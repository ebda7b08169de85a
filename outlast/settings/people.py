"""Settings of people: who decides at gates, and where notices to them go."""

from pydantic import Field, SecretStr, field_validator

from outlast.settings.base import SettingsGroup, web_address


class PeopleSettings(SettingsGroup):
    """Who decides at gates, and where notices go."""

    approver_secret: SecretStr | None = Field(default=None, min_length=32)
    """With it, decisions at gates must be signed; at least 32 characters, the same for all workers. It never enters history."""
    approver_token: SecretStr | None = None
    """Your own token, for the command line: made by `outlast approver-token`."""
    approver: str = ""
    """Your name at gates, for the starter. Default: the user name of the operating system."""
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
