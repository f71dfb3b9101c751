"""Write the hashed lock files beside this script from `pyproject.toml`: `make lock`.

Five files, for `pip install --require-hashes --no-deps`:

- `base.lock`        what the product needs, and what an editable install of it needs
- `dev.lock`         base, and what the tests need
- `train.lock`       dev, and what training needs beside torch
- `train-cpu.lock`   the CPU build of torch, for a machine that offers its wheel (`PIP_FIND_LINKS`)
- `train-cuda.lock`  the index's torch build, with the CUDA libraries that it loads on Linux

The two builds of torch are different files of one version. One lock with the hashes of both would not do: pip
prefers a file whose hash the index tells to one in a folder. No lock names an index, so that any mirror serves.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
TORCH = "2.13.0"
# torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl, of PyTorch's CPU channel
TORCH_CPU_HASH = "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"
CUDA = re.compile(r"(nvidia-|cuda-|triton==|torch==)")


def compile_lock(*arguments: str) -> list[str]:
    """Return the entries of a universal lock, each with its hash lines, sorted by name."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *arguments]
    command += ["--universal", "--python-version", "3.11", "--generate-hashes", "--quiet"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return re.split(r"\n(?=\S)", done.stdout.strip())


def write(name: str, entries: list[str]) -> None:
    """Write one lock file."""
    (HERE / name).write_text("\n".join(entries) + "\n")


def main() -> None:
    """Write all five files, each later one constrained by the earlier."""
    write("base.lock", compile_lock("--extra", "build"))
    write("dev.lock", compile_lock("--extra", "build", "--extra", "dev", "-c", str(HERE / "base.lock")))
    constraint = HERE / "torch.in"
    constraint.write_text(f"torch=={TORCH}\n")
    try:
        extras = ("--extra", "build", "--extra", "dev", "--extra", "train")
        train = compile_lock(*extras, "-c", str(HERE / "dev.lock"), "-c", str(constraint))
    finally:
        constraint.unlink()
    write("train.lock", [entry for entry in train if not CUDA.match(entry)])
    write("train-cuda.lock", [entry for entry in train if CUDA.match(entry)])
    write("train-cpu.lock", [f"torch=={TORCH} \\\n    --hash=sha256:{TORCH_CPU_HASH}"])


if __name__ == "__main__":
    main()
