"""Finds what lies in the content store although no run refers to it, and takes it away: `gc`.

Open `collecting.py` first: what is done, in which order, and why that is safe beside running workers.
"""
