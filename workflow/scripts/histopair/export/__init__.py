"""A run as one folder that predicts on its own, below results/exports/.

model.safetensors   every weight that inference needs, adapters merged; no tower that it does not
config.json         all that rebuilds the model around them, and the temperature of its scores
encoders/           the architectures of its towers, as their libraries write them, and tokenizers
labels.json         the classes, in the order of the logits
model.onnx          the same model for onnxruntime, where it reads images alone
README.md           the model card
"""
