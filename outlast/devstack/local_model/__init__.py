"""The embedded default model: a small real model behind an endpoint shaped like Anthropic's Messages API.

    python -m outlast.devstack.local_model --port 8791    # then: ANTHROPIC_BASE_URL=http://127.0.0.1:8791 ANTHROPIC_API_KEY=local

It lets the whole project run with no key and no network. It does not reason: 135 million parameters cannot plan,
and they invent facts. What it does well enough is to pick one of a few labels, because that is not generated.

How a schema is answered
------------------------
Generation is constrained to the schema. With the built-in weights, open strings and lists of strings are asked for
in words instead, one field at a time, and put into place, since that reads better (see `assembly.py`).

A property that has an `enum` of two or more values (or `anyOf`/`oneOf` of `const`) is not generated but **scored**:
the model reads the document and a cue, and the probability of each value's *label words* as the next words decides,
less what the model expects after an empty document. A number property called `confidence` beside it receives the
probability of the winner. Enums inside lists and in alternatives are generated.

The hint format. The scorer takes better label words and a better cue in the property's `description`,
since that is the one place that every JSON schema dialect, the Anthropic API included, accepts:

    {"enum": ["legal", "financial", "general"],
     "description": "Kind of document. Label words: legal=law/legal/contract/agreement, "
                    "financial=finance/financial/money/business, general=daily/life/people/stories. "
                    "Cue: The text above is a document about"}

- `Label words:` value=word, separated by commas, ended by a full stop, a line break or the end. Several words
  for one value are separated by `/` and averaged; four words each are clearly better than one. Values left out
  stand for themselves (`_` becomes a space).
- `Cue:` the start of a sentence that a label word completes; runs to the end of its line. Without it:
  "The text above is a document about" for properties called kind, category, topic, class, label or type (or ending
  in one of those after `_`), else "Overall, the <property name> of the text above is", which works for few names.
- A boolean is scored too if its description has a `Cue:` (label words: `true=yes, false=no` unless given).
- Anthropic's SDK drops all that stands beside a `$ref`: put the hint of a pydantic field on a `Literal`, or into
  the docstring of the `StrEnum`.

What is scored is the content of the last `<part …>…</part>` or `<document …>…</document>` in the last user message,
or that whole message if there is none; its first 48 and its first 256 tokens, averaged.

Tools: `tool_choice` `tool` and `any` give a `tool_use` block whose input matches the tool's schema; `any` picks the
tool by scoring names and descriptions. `none` gives plain text. `auto` (the default) calls the tool that fits best, once: this
model cannot judge when to call, so a conversation that holds a tool's result already gets text. Other weights: text.

On its first start the built-in weights are rewritten into a form that reads prompts about twice as fast (145 MB in
`~/.cache/local_model`; `LOCAL_MODEL_CACHE` names another folder, or is `off`).

Other weights: `LOCAL_MODEL_GGUF=/path/to/model.gguf`, any chat model that llama.cpp runs, through the same endpoint.
"""

BANNER = (
    "Local model: SmolLM2, 135 million parameters, on this machine's CPU. It is for trying the machinery and its "
    "answers are often wrong. Set ANTHROPIC_API_KEY for real answers."
)
