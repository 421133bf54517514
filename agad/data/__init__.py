"""Images: reading the official formats, data sets by name, protocols, batches."""

from agad.data.batches import FitBatches, Subset, on_device
from agad.data.cache import NodeCache
from agad.data.fetch import OfficialFile, fetch_files
from agad.data.images import PARTS, Images, Part, Source, SourceImages
from agad.data.importing import Imported, find_manifest, import_dataset
from agad.data.known import FORMATS, KNOWN
from agad.data.library import Library, open_images
from agad.data.manifest import Dropped, Manifest, StoredPart
from agad.data.partition import TestChoice
from agad.data.recipe import ImportOptions
from agad.data.sheet import contact_sheet
from agad.data.split import Split, SplitCounts, Task, draw_split
from agad.data.streams import Purpose, stream

__all__ = [
    "FORMATS",
    "KNOWN",
    "PARTS",
    "Dropped",
    "FitBatches",
    "Images",
    "ImportOptions",
    "Imported",
    "Library",
    "Manifest",
    "NodeCache",
    "OfficialFile",
    "Part",
    "Purpose",
    "Source",
    "SourceImages",
    "Split",
    "SplitCounts",
    "StoredPart",
    "Subset",
    "Task",
    "TestChoice",
    "contact_sheet",
    "draw_split",
    "fetch_files",
    "find_manifest",
    "import_dataset",
    "on_device",
    "open_images",
    "stream",
]
