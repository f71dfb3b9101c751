"""One module for each verb: resolve, act, report."""
