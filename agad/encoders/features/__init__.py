"""Features of a study's images, in the store and in a node's cache. Needs torch and pyarrow."""

from agad.encoders.features.chunk import Rows
from agad.encoders.features.key import FeatureKey
from agad.encoders.features.reader import FeatureReader
from agad.encoders.features.stored_encoder import open_stored_encoder, put_encoder
