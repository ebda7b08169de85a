"""The HTTP API and the web pages: start runs, follow them, decide at gates. `outlast serve`, or an ASGI app of your own.

Open `app.py` first: what is served, and how a request becomes a call. `operations.py` says what an operation is, `access.py`
who may use it; `routes.py` lists them all, `events/` follows runs, `pages/` is what people see. Others use
`serving`.
"""
