"""Frozen networks that were trained elsewhere, and their features of a study's images.

Importing this loads no torch. The networks are behind ``agad.encoders.networks``, their features in
the store and in a node's cache behind ``agad.encoders.features``.
"""

from agad.encoders.architecture import Architecture, Preprocessing, Pretrained
from agad.encoders.reference import FILE_SUFFIX, EncoderReference, check_encoder_name
from agad.encoders.registry import (
    architecture,
    encoder_names,
    external_data_of,
    is_encoder_name,
)
