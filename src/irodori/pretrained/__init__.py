"""Pretrained weights: ImageNet encoders, and models on the Hugging Face hub."""
