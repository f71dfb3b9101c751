"""The command line of llmctl: flags and paths in, text, JSON and an exit code out."""

__version__ = "0.1.0"
