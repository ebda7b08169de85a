"""Settings of chats: Slack, where people decide by buttons, and Teams, where messages link to the inbox."""

import re
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from outlast.settings.base import SettingsGroup, web_address

SLACK_USER = re.compile(r"[UW][A-Z0-9]{2,30}:[^:,]{1,64}")


class ChatSettings(SettingsGroup):
    """Where gates and questions are shown in a chat, and who answers there."""

    slack_bot_token: SecretStr | None = None
    """The bot token of the Slack app (`xoxb-…`), for the workers, which post, and the server, which answers clicks."""
    slack_channel: str = ""
    """Where gates and questions are shown in Slack: the channel's id (`C…`). The app must be a member of it."""
    slack_signing_secret: SecretStr | None = Field(default=None, min_length=16)
    """The signing secret of the Slack app, for the server: with it clicks are taken at `POST /slack/actions`."""
    slack_users: Annotated[tuple[str, ...], NoDecode] = ()
    """Who may click, by comma: `U024BE7LH:ada`, a member id of Slack and the name by which gates know that person."""
    slack_api_url: str = "https://slack.com/api/"
    """Address of Slack's API; that of GovSlack is `https://slack-gov.com/api/`."""
    teams_webhook_url: SecretStr | None = None
    """Address of a Teams channel's webhook (Workflows); messages there link to the inbox, where people decide."""

    @field_validator("slack_users", mode="before")
    @classmethod
    def _split_users(cls, value: object) -> object:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value

    @field_validator("slack_users")
    @classmethod
    def _are_users(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for number, value in enumerate(values, 1):
            if not SLACK_USER.fullmatch(value):
                raise ValueError(f"user {number} must be MEMBER-ID:NAME, such as U024BE7LH:ada")
        return values

    @field_validator("slack_api_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return f"{(web_address(value) or '').rstrip('/')}/"

    @field_validator("teams_webhook_url")
    @classmethod
    def _is_webhook(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            web_address(value.get_secret_value())
        return value

    @property
    def slack_names(self) -> dict[str, str]:
        """The names of people by their member id in Slack."""
        pairs = (entry.partition(":") for entry in self.slack_users)
        return {member: " ".join(name.split()) for member, _, name in pairs}
