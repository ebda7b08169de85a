"""Durable agentic workflows on Temporal: agents that outlast crashes, deploys and weekends.

Start with `outlast.workflow.base` (what a workflow of agents is built on) and `outlast.worker` (what runs it).
"""
