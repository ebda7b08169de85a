"""Gates and questions in Slack: one thread for each run, with buttons by which people decide and answer.

Open `thread.py` first: what a workflow posts, and when. `messages.py` writes the blocks, `forms.py` the dialogs,
`slack_activities.py` posts them, `api.py` speaks to Slack. Clicks are taken by the server: `outlast/server/slack/`.
"""
