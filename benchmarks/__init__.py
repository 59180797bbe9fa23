"""The benchmark of the project: `python -m benchmarks --help` says what it measures, and how to choose from it."""
