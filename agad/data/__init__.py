"""Images: reading the official formats, data sets by name, protocols, batches."""

from agad.data.batches import FitBatches, normalise, to_device
from agad.data.datasets import check_files, describe, load_images
from agad.data.images import DatasetInfo, Images, Part
from agad.data.split import OneClass, OneClassSplit, num_labelled_anomalies, one_class_split
from agad.data.streams import Purpose, stream

__all__ = [
    "DatasetInfo",
    "FitBatches",
    "Images",
    "OneClass",
    "OneClassSplit",
    "Part",
    "Purpose",
    "check_files",
    "describe",
    "load_images",
    "normalise",
    "num_labelled_anomalies",
    "one_class_split",
    "stream",
    "to_device",
]
