"""Several agents answer the same question and vote.

Open `voting.py` first: how votes are counted, when voting stops; `panel.py` asks the voters, `findings.py` compares answers.
Others use `vote` and the contracts in `votes.py`.
"""
