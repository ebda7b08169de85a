"""Clicks in Slack: `receiving.py` proves that Slack sent them and answers, `clicks.py` reads them, `acting.py` acts."""
