"""Activities of this application: everything that touches the world (documents, searches, classifiers).

Nothing in this package imports from `workflows`, except their contracts.
"""
