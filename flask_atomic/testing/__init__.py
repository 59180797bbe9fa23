"""What authors of applications and of data layers test with."""

from .answer import Answer
from .client import AtomicClient, in_memory
from .contract import LayerContract
from .document import Document, identifier
from .schemas import SAMPLES, ArticleSchema, PersonSchema

__all__ = [
    "SAMPLES",
    "Answer",
    "ArticleSchema",
    "AtomicClient",
    "Document",
    "LayerContract",
    "PersonSchema",
    "identifier",
    "in_memory",
]
