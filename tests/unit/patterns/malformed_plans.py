"""Malformed plans as models really write them, each with what must become of it.

Every input says the name of its plan in angle brackets (`{plan}`), so that a test can tell from a call which plan made it.
"""

import json
from dataclasses import dataclass
from typing import Any

AGENTS = ("researcher", "reviewer", "writer")


@dataclass(frozen=True)
class Malformed:
    """What the planner says (JSON data, or its raw text) and what follows.

    With `runs`, each step that must run with the steps it needs, `told` are pieces of the recorded changes; without it, they
    are pieces of the problems that go back.
    """

    name: str
    said: Any
    told: tuple[str, ...]
    runs: dict[str, set[str]] | None = None

    @property
    def text(self) -> str:
        written = self.said if isinstance(self.said, str) else json.dumps(self.said, ensure_ascii=False)
        return written.replace("{plan}", f"<{self.name}>")


def step(name: Any, agent: Any = "writer", **fields: Any) -> dict[str, Any]:
    return {"step": name, "agent": agent, "input": f"{{plan}}: do {name}", **fields}


def plan(*steps: Any) -> dict[str, Any]:
    return {"steps": list(steps)}


def pair(depends_on: Any) -> dict[str, Any]:
    """Return a plan of two steps, the second with these dependencies as written."""
    return plan(step(1), step(2, depends_on=depends_on))


ONE: dict[str, set[str]] = {"1": set()}
CHAIN: dict[str, set[str]] = {"1": set(), "2": {"1"}}
TWO: dict[str, set[str]] = {"1": set(), "2": set()}
GOOD = plan(step(1))
FENCED = "```json\n" + json.dumps(GOOD) + "\n```"
AROUND = ("the text around the JSON was left out",)

READABLE = [
    Malformed("fences around the JSON", FENCED, (), ONE),
    Malformed("a word after the JSON", json.dumps(GOOD) + "\nI hope this helps!", AROUND, ONE),
    Malformed("fences with a closing sentence", f"Here it is:\n{FENCED}\nSee [1] for more.", AROUND, ONE),
    Malformed("thoughts before the JSON", f'<think>{{"steps": []}} or not?</think>\n{json.dumps(GOOD)}', AROUND, ONE),
    Malformed("a comma too many", json.dumps(GOOD)[:-1] + ",}", ("grammar were corrected",), ONE),
    Malformed("one number for a list", pair(1), ("steps[1].depends_on: '1' is read as '[1]'",), CHAIN),
    Malformed("one text for a list", pair("1"), ("steps[1].depends_on: '1' is read as",), CHAIN),
    Malformed(
        "commas in a text",
        plan(step(1), step(2), step(3, depends_on="1, 2")),
        ("steps[2].depends_on: '1, 2' is read as",),
        {**TWO, "3": {"1", "2"}},
    ),
    Malformed("null for no dependencies", pair(None), ("steps[1].depends_on: 'None' is read as '[]'",), TWO),
    Malformed("the word none for no dependencies", pair("None"), ("steps[1].depends_on: 'None' is read as '[]'",), TWO),
    Malformed("the word step before an id", pair(["Step 1"]), ("steps[1].depends_on: \"['Step 1']\" is read",), CHAIN),
    Malformed("ids with a fraction", plan(step(1.0), step(2.0, depends_on=[1.0])), ("'1.0' is read as '1'",), CHAIN),
    Malformed(
        "levels as ids",
        plan(step(1.1), step(1.2, depends_on=[1.1])),
        ("steps[0].step",),
        {"1.1": set(), "1.2": {"1.1"}},
    ),
    Malformed("numbers below zero", plan(step(-1), step(0, depends_on=[-1])), (), {"-1": set(), "0": {"-1"}}),
    Malformed(
        "blanks around ids",
        plan(step(" a "), step("b", depends_on=["a "])),
        ("' a ' is read as 'a'",),
        {"a": set(), "b": {"a"}},
    ),
    Malformed(
        "unicode ids",
        plan(step("été"), step("第二", depends_on=["ÉTÉ"])),
        ("['ÉTÉ']",),
        {"été": set(), "第二": {"été"}},
    ),
    Malformed("an agent in capitals", plan(step(1, " WRITER ")), ("agent ' WRITER ' is read as 'writer'",), ONE),
    Malformed(
        "an agent with a suffix", plan(step(1, "WriterAgent")), ("agent 'WriterAgent' is read as 'writer'",), ONE
    ),
    Malformed("a dependency twice", pair([1, 1]), ("step 2: repeated dependencies dropped",), CHAIN),
    Malformed("a step before its dependency", plan(step(2, depends_on=[1]), step(1)), ("steps moved behind",), CHAIN),
    Malformed(
        "other names for the fields",
        plan(
            {"id": 1, "Agent Name": "writer", "task": "{plan}"},
            {"stepId": 2, "assigned_to": "writer", "description": "{plan}", "dependsOn": [1]},
        ),
        (
            "'id' is read as 'step'",
            "'task' is read as 'input'",
            "'description' is read as 'input'",
            "'dependsOn' is read as 'depends_on'",
        ),
        CHAIN,
    ),
    Malformed(
        "dependencies for depends_on",
        plan(step(1), step(2, dependencies=["1"])),
        ("steps[1]: 'dependencies' is read as 'depends_on'",),
        CHAIN,
    ),
    Malformed("a plan within a plan", {"thought": "easy", "plan": GOOD}, ("'plan'", "left out 'thought'"), ONE),
    Malformed("steps misspelt", {"stpes": [step(1)]}, ("the steps are read from 'stpes'",), ONE),
    Malformed("steps as a JSON text", {"steps": json.dumps([step(1)])}, ("read from a JSON text",), ONE),
    Malformed(
        "steps under their ids",
        {"steps": {"1": {"agent": "writer", "input": "{plan}"}, "2": step(2, depends_on=[1])}},
        ("is read as a list of steps",),
        CHAIN,
    ),
    Malformed("one step alone", step(1), ("is read as a plan of one step",), ONE),
    Malformed("a field too many", plan(step(1, rationale="why not")), ("steps[0]: left out 'rationale'",), ONE),
]

UNREADABLE = [
    Malformed("a bare list", [step(1)], ("must be a JSON object",)),
    Malformed("a broken end", json.dumps(GOOD)[:-3], ("the answer is not JSON",)),
    Malformed(
        "a broken end after a whole draft", f"{json.dumps(GOOD)}\nBetter: {json.dumps(GOOD)[:-9]}", ("is not JSON",)
    ),
    Malformed("no steps", plan(), ("the plan has no steps; add at least one",)),
    Malformed(
        "a text for steps", {"steps": "1. research 2. write"}, ("steps: there is no list of steps; write a list",)
    ),
    Malformed(
        "texts for steps",
        plan("research", "write"),
        ("steps[0]:", "steps[1]:", "write {step, agent, input, depends_on}"),
    ),
    Malformed("null for an id", plan(step(None)), ("steps[0].step:", "give each step an id of its own")),
    Malformed("true for an id", plan(step(True)), ("steps[0].step:", "give each step an id of its own")),
    Malformed("an endless id", plan(step("9" * 70)), ("a number or a text of 1 to 64 characters",)),
    Malformed(
        "no id", plan({"agent": "writer", "input": "{plan}"}), ("steps[0].step: field required; give each step",)
    ),
    Malformed("no agent", plan({"step": 1, "input": "{plan}"}), ("steps[0].agent: field required; name one agent",)),
    Malformed("two agents", plan(step(1, ["writer", "reviewer"])), ("steps[0].agent:", "name one agent")),
    Malformed(
        "an unknown agent", plan(step(1, "plumber")), ("step 1: there is no agent 'plumber'; use one of", "writer")
    ),
    Malformed(
        "an object for input",
        plan({"step": 1, "agent": "writer", "input": {"about": "{plan}"}}),
        ("steps[0].input:", "say in one text"),
    ),
    Malformed(
        "a blank input",
        plan({"step": 1, "agent": "writer", "input": " "}),
        ("step 1: the input is empty; say what writer",),
    ),
    Malformed(
        "two names for the input",
        plan({"step": 1, "agent": "writer", "task": "{plan}", "description": "long {plan}"}),
        ("'task' and 'description' say different things; write one 'input'",),
    ),
    Malformed(
        "an object for dependencies", pair({"step": 1}), ("steps[1].depends_on:", "list the ids of the steps it needs")
    ),
    Malformed(
        "dependencies by an unknown name",
        plan(step(1), step(2, blocked_by=[1])),
        ("steps[1].blocked_by: a step has no such field; put",),
    ),
    Malformed("steps within a step", plan(step(1, substeps=[step(2)])), ("steps[0].substeps: there are steps in it",)),
    Malformed("a missing dependency", pair([7]), ("step 2 depends on step 7, which does not exist; add that step or",)),
    Malformed("a step that needs itself", pair([2]), ("step 2 depends on itself; remove 2 from its depends_on",)),
    Malformed(
        "two circles",
        plan(step(1, depends_on=[2]), step(2, depends_on=[1]), step(3, depends_on=[4]), step(4, depends_on=[3])),
        ("1 → 2 → 1", "3 → 4 → 3; drop one"),
    ),
    Malformed(
        "one id twice", plan(step(1), step("1", "reviewer")), ("step id 1 is used 2 times; give each step its own id",)
    ),
    Malformed(
        "another wrong on top",
        plan(step(1, "plumber"), {"step": 2}, step(2, depends_on=1.5)),
        ("steps[1].agent: field", "steps[1].input: field"),
    ),
]

MALFORMED = READABLE + UNREADABLE
