"""The encoders themselves: named, opened and frozen. Needs torch."""

from agad.encoders.networks.efficientnet_lite import EfficientNetLite, lite0, lite1, lite2
from agad.encoders.networks.encoder import BATCH_SIZE, Encoder, PictureEncoder
from agad.encoders.networks.opening import check_layers, find_encoder, open_encoder, opened
from agad.encoders.networks.protocol import GLOBAL, EncoderNetwork, layers_of, output_of
