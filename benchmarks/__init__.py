"""What the product costs, as ratios within one run. Each module prints one JSON object a line.

Run them with the project's own Python from the repository root: `python -m benchmarks.queue --help`.
"""
