from histopair.predictors.unimodal import predictor

__all__ = ["predictor"]
