"""A report in the formats of other tools, one exporter a file; docs/export.md shows each.

What a report lacks, as a failed run lacks its RMSE, is absent from what is written, and never 0. Nothing here imports
Keras or a framework.
"""

FORMATS = {
    "csv": "a row a round",
    "junit": "JUnit XML: cells, parity and failed workers as test cases",
    "markdown": "a summary for a pull request",
    "mlflow": "runs of MLflow, to --tracking-uri",
    "mllog": "MLPerf's :::MLLOG lines, to -o FILE, or a file a run to -o FOLDER",
    "pytest-benchmark": "pytest-benchmark's JSON, to -o FILE.json, or a file a process to -o FOLDER",
    "tensorboard": "event files for TensorBoard, to -o FOLDER",
}
