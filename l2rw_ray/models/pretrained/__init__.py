"""Networks that start from trained weights: of files, packages, torchvision, timm and Hugging Face."""
