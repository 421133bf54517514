"""Images: reading the official formats, data sets by name, protocols, batches."""

from agad.data.batches import FitBatches, Subset, on_device
from agad.data.cache import CachedFile, NodeCache, mark_used
from agad.data.catalogue import FORMATS, KNOWN
from agad.data.contact_sheet import contact_sheet
from agad.data.fetch import OfficialFile, fetch_files
from agad.data.heatmap import FULL_SCALE, anomaly_overlay, heat_map
from agad.data.images import PARTS, Images, Part, Source, SourceImages
from agad.data.importing import Imported, find_manifest, import_dataset
from agad.data.library import Library, open_images
from agad.data.manifest import Dropped, Manifest, StoredPart
from agad.data.named import NamedImages, find_named
from agad.data.partition import TestChoice
from agad.data.prepare import prepare_images
from agad.data.readers.folder import find_pictures
from agad.data.readers.pictures import PictureBatch, read_in_batches
from agad.data.readers.values import FULL_RANGE, ValueRange
from agad.data.recipe import ImportOptions
from agad.data.resize import FILTERS, FITS, SIZES, Fit, Resize
from agad.data.split import (
    LabelPool,
    Split,
    SplitCounts,
    Task,
    draw_split,
    num_fit_and_val,
)
from agad.data.streams import Purpose, stream
