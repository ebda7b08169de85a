"""Builds from the settings what tells people: the channels of plain notices, and what posts to Slack."""

from functools import partial
from typing import TYPE_CHECKING

from outlast.client import Settings, web_ui_of
from outlast.notices.channels import channels
from outlast.notices.slack.api import SlackApi
from outlast.notices.slack.slack_activities import SlackActivities
from outlast.notices.teams import TeamsChannel
from outlast.storage.activities import ContentStore

if TYPE_CHECKING:
    from outlast.notices.channels import Channel


def channels_of(settings: Settings) -> "tuple[Channel, ...]":
    """Return the channels of plain notices; raises ValueError that names a wrong one."""
    found = channels(settings.notify_urls.get_secret_value() if settings.notify_urls else "")
    teams = settings.teams_webhook_url
    return (*found, TeamsChannel(teams.get_secret_value(), settings.inbox_url)) if teams else found


def slack_of(settings: Settings, store: ContentStore) -> SlackActivities:
    """Return what posts to Slack, where the settings say so; raises ValueError that names what they lack."""
    if settings.slack_bot_token is None:
        return SlackActivities()
    if not settings.slack_channel:
        raise ValueError("SLACK_CHANNEL: set the id of the channel (C…) beside SLACK_BOT_TOKEN")
    return SlackActivities(
        SlackApi(settings.slack_bot_token.get_secret_value(), settings.slack_api_url),
        settings.slack_channel,
        settings.slack_names,
        store=store,
        web_ui=partial(web_ui_of, settings),
        inbox_url=settings.inbox_url,
    )
