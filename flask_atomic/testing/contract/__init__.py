"""The contract of a data layer: what the hooks promise, as tests that the author of a layer inherits."""

from __future__ import annotations

from .layer_contract import LayerContract

__all__ = ["LayerContract"]
