"""`python -m llmctl`, and the `llmctl` console script."""

from llmctl.app import main

if __name__ == "__main__":
    main()
