"""Room 2, acts: everything that touches the world (models, files, stores) lives here, behind activities.

One rule: nothing in this package imports from `workflows`; what crosses the door is declared in `contracts`.
"""
