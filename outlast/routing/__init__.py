"""Which agents a request goes to: by a classifier, a trained model, or an LLM router.

Open `choosing.py` first: asks the router and always comes to a choice; `rules.py` says when an answer counts as unsure.
Others use `Chooser`, the contracts, and `train` of `training.py`.
"""
