"""Parsing of content from outside, in processes of its own that can be killed.

A parser in Python holds the interpreter's lock, may take any amount of memory, and cannot be stopped in a thread. So what was not
written by us (documents, web pages, feeds, JSON schemas with regular expressions) is parsed in a child process, with limits on
memory, computing time and output. Open `pool` first: `PARSERS` is what callers use; `child` is the other side, `tasks` is what it
can do.
"""
