"""Drives the Pulumi engine: its CLI, its state, its events, and what to do when it was interrupted.

`operations.Engine` runs preview, up, destroy, refresh and drift; `cli` and `install` find the CLI or get it;
`state` reads what is recorded without starting anything; `recovery` mends what an interruption left.
"""
