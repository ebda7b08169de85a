"""The porch behind door 1: one file per group of commands, and the pages that people read. It talks to Temporal as a client.

`start` · `observe` · `control` · `operate` hold the commands; `leaving` is the one way out, `reaching` the way to the server,
`waiting` how to wait through its crashes, `results` and `pages` what is shown. The trap: a module-level import of the SDK
or of pydantic would make every `--help` slow, so commands import what they need when they run.
"""
