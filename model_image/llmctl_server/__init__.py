"""The inference server. Imports nothing else of llmctl, and neither torch nor transformers."""
