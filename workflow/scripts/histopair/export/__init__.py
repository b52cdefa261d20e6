"""A run as a folder of results/exports/ that predicts on its own.

model.safetensors   the weights that inference needs, and no others; adapters merged
config.json         all else that rebuilds the model, and the temperature of its scores
encoders/           the architectures of its towers, as their libraries write them, and tokenizers
labels.json         the classes, in the order of the logits
model.onnx          the same model for onnxruntime, if it reads only images
README.md           the model card
"""
