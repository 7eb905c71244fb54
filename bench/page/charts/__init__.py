"""The plots of reports, drawn with Altair (Vega-Lite).

Every module here imports Altair, so that only `python -m bench page`, `history` and `sweep`, which draw, import them.
"""
