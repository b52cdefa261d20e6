from histopair.export.predictors.unimodal import predictor

__all__ = ["predictor"]
