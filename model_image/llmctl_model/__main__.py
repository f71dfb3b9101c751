"""`python -m llmctl_model`: fetch the data, train, measure and write the bundle.

Progress goes to stderr, the result as JSON to stdout. Exit codes: 0 done; 1 a stage failed, in
one line; 2 wrong usage; 6 `--check` found a number out of its tolerance.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

FAILED, OUT_OF_TOLERANCE, INTERRUPTED = 1, 6, 130
_ROOT = Path(__file__).resolve().parents[1]
# A checkout keeps the bundle beside the packages, a wheel inside the package that finds it.
_SHIPPED = (_ROOT / "models" / "attention", _ROOT / "llmctl_image" / "models" / "attention")


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        # Imported here so that --help and a wrong flag answer at once, and a missing torch in one line.
        from llmctl_model import fetch, pipeline, reproduce
        from llmctl_model.errors import ModelError
    except ModuleNotFoundError as error:
        _say(f"error: {error.name} is not installed (pip install 'llmctl-deploy[train]')")
        return FAILED
    cache = options.cache or fetch.cache_folder()
    try:
        if not options.check:
            _result(pipeline.build(cache, options.out, _say))
            return 0
        comparisons = reproduce.check(cache, next(filter(Path.is_dir, _SHIPPED), _SHIPPED[0]), options.out, _say)
    except ModelError as error:
        _say(f"error: {error}")
        return FAILED
    except OSError as error:
        _say(f"error: {error.strerror or error}: {error.filename}")
        return FAILED
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    _result([{**asdict(each), "holds": each.holds} for each in comparisons])
    for each in comparisons:
        if not each.holds:
            _say(f"error: {each.what}: accuracy {each.measured:.4f}, the card says {each.shipped:.4f}")
    return 0 if all(each.holds for each in comparisons) else OUT_OF_TOLERANCE


def start_again_with_knobs() -> None:
    """Replace this process by itself with the memory and thread settings that are read only at start."""
    from llmctl_model.environment import PROCESS_ENVIRONMENT

    if any(name not in os.environ for name in PROCESS_ENVIRONMENT):
        environment = {**PROCESS_ENVIRONMENT, **os.environ}
        os.execve(sys.executable, sys.orig_argv, environment)  # noqa: S606  # the same program, no shell wanted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m llmctl_model", description="Train the attention model.")
    parser.add_argument("--cache", type=Path, help="where downloads are kept (LLMCTL_CACHE, else ~/.cache/llmctl)")
    parser.add_argument(
        "--out", type=Path, default=Path("build/attention"), help="folder of the new bundle (%(default)s)"
    )
    parser.add_argument(
        "--check", action="store_true", help="compare the shipped model, and the new one, with the shipped card"
    )
    return parser


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # this is the entry point


def _result(value: object) -> None:
    print(json.dumps(value, indent=2))  # noqa: T201  # this is the entry point


if __name__ == "__main__":
    start_again_with_knobs()
    sys.exit(main(sys.argv[1:]))
