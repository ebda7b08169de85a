"""Places to look things up, one file each: arXiv, news feeds, web search, local documents.

Each takes a question in plain words and gives hits, best first. What they share lies in `base` (what a source is), `fetching`
(limits, user agent and errors over HTTP), `feeds` (RSS and Atom) and `words` (what a question is about).
"""
