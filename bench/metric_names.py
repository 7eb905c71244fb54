"""How metrics are written where Keras's logs have them otherwise."""

from __future__ import annotations

SHOWN = {"rmse": "RMSE"}
METRIC_SHARE = 0.004  # of a metric of the user's own may be lost; of the tutorial's RMSE, the margin is as large
