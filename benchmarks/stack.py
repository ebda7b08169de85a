"""Servers, workers and the Messages API of one benchmark run, all real processes that end with it.

Five sides do the same work: the product and the bare baseline, each with a model in the worker's process and with one
over HTTP, and the baseline once more on a server with default settings.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client, WorkflowHandle

from bootstrap import data_converter
from benchmarks.baseline import BareDag, RunInput
from benchmarks.graphs import Call, Dag, Work, read_calls
from cli.embedded.server import DYNAMIC, PRAGMAS, find_temporal
from tests.processes import DevServer, MessagesApi, stack_environment
from tests.real_process import RealProcess, clean_environment, free_port
from workflows.contracts import Plan, PlanRequest, PlanStep
from workflows.plan_and_execute import PlanAndExecuteWorkflow
