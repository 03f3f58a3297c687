"""Keeps fitted models as immutable folders, and decides nothing: makes champions of what the gate let through."""

from marketloop.registry.artefacts import Artefact
from marketloop.registry.demotion import Demotion
from marketloop.registry.documents import champion_document, models_document
from marketloop.registry.opening import open_registry
from marketloop.registry.recovery import Recovered
from marketloop.registry.registry import Candidate, Registry
from marketloop.registry.ruling import Ruling
from marketloop.registry.standing import Back
from marketloop.registry.streamfiles import StreamFiles
from marketloop.registry.views import ModelViews, Synced

__all__ = [
    "Artefact",
    "Back",
    "Candidate",
    "Demotion",
    "ModelViews",
    "Recovered",
    "Registry",
    "Ruling",
    "StreamFiles",
    "Synced",
    "champion_document",
    "models_document",
    "open_registry",
]
