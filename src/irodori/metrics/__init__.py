"""Metrics of colorization; every figure names its protocol."""

from irodori.metrics.chrominance import ChrominanceRMSE, chroma_rmse, mean_ab

__all__ = ["ChrominanceRMSE", "chroma_rmse", "mean_ab"]
