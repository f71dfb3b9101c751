"""The inference server. Imports nothing else of llmctl, and neither torch nor transformers.

One process, one raw ASGI callable on uvicorn, one model::

    __main__    settings -> logs -> socket -> serve; the exit codes
    settings    what the environment may say
    bundle      a folder, tar or file descriptor -> verified files
    engine      files -> probabilities (tokenizer and onnxruntime sessions)
    buckets     which texts may share a run
    scheduler   a bounded queue, workers, and the fast path of an idle server
    app         routes, keys, limits, errors
    serve       uvicorn with a drain

Heavy libraries are imported where they are used: `llmctl_server.settings` costs only the standard library.
"""

__version__ = "0.1.0"
