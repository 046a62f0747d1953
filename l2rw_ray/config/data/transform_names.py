"""Names and options of torchvision's transforms, so that reading a study does not import torchvision."""

TRANSFORMS: dict[str, tuple[str, ...]] = {
    "AugMix": ("severity", "mixture_width", "chain_depth", "alpha", "all_ops", "interpolation", "fill"),
    "AutoAugment": ("policy", "interpolation", "fill"),
    "CenterCrop": ("size",),
    "ColorJitter": ("brightness", "contrast", "saturation", "hue"),
    "ElasticTransform": ("alpha", "sigma", "interpolation", "fill"),
    "GaussianBlur": ("kernel_size", "sigma"),
    "Grayscale": ("num_output_channels",),
    "JPEG": ("quality",),
    "Pad": ("padding", "fill", "padding_mode"),
    "RGB": (),
    "RandAugment": ("num_ops", "magnitude", "num_magnitude_bins", "interpolation", "fill"),
    "RandomAdjustSharpness": ("sharpness_factor", "p"),
    "RandomAffine": ("degrees", "translate", "scale", "shear", "interpolation", "fill", "center"),
    "RandomAutocontrast": ("p",),
    "RandomChannelPermutation": (),
    "RandomCrop": ("size", "padding", "pad_if_needed", "fill", "padding_mode"),
    "RandomEqualize": ("p",),
    "RandomErasing": ("p", "scale", "ratio", "value"),
    "RandomGrayscale": ("p",),
    "RandomHorizontalFlip": ("p",),
    "RandomInvert": ("p",),
    "RandomPerspective": ("distortion_scale", "p", "interpolation", "fill"),
    "RandomPhotometricDistort": ("brightness", "contrast", "saturation", "hue", "p"),
    "RandomPosterize": ("bits", "p"),
    "RandomResizedCrop": ("size", "scale", "ratio", "interpolation", "antialias"),
    "RandomRotation": ("degrees", "interpolation", "expand", "center", "fill"),
    "RandomSolarize": ("threshold", "p"),
    "RandomVerticalFlip": ("p",),
    "RandomZoomOut": ("fill", "side_range", "p"),
    "Resize": ("size", "interpolation", "max_size", "antialias"),
    "TrivialAugmentWide": ("num_magnitude_bins", "interpolation", "fill"),
}
"""Options of those of `torchvision.transforms.v2` that take one image and return one."""
REQUIRED = {
    "CenterCrop": ("size",),
    "GaussianBlur": ("kernel_size",),
    "JPEG": ("quality",),
    "Pad": ("padding",),
    "RandomAdjustSharpness": ("sharpness_factor",),
    "RandomAffine": ("degrees",),
    "RandomCrop": ("size",),
    "RandomPosterize": ("bits",),
    "RandomResizedCrop": ("size",),
    "RandomRotation": ("degrees",),
    "RandomSolarize": ("threshold",),
    "Resize": ("size",),
}
"""Options without a default."""
SAME_FOR_ALL = ("CenterCrop", "Grayscale", "Pad", "RGB", "Resize")
"""Those that draw nothing at random."""
MIXING = ("MixUp", "CutMix")
"""Those that make one image of two, with a label that is of neither."""
