"""Lazy import of kornia, when a conversion first needs it.

The import takes half a second in addition to torch, and colorizing photos in L*a*b* doesn't need
kornia, see `irodori.inference.fused_lab`.
"""

import importlib
from typing import TYPE_CHECKING, Any


class _Kornia:
    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("kornia"), name)


if TYPE_CHECKING:
    import kornia as kornia
    import kornia.color
else:
    kornia = _Kornia()
