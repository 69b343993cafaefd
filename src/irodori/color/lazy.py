"""kornia, imported when a conversion first needs it.

Importing it takes half a second more than torch does, and colorizing photos in L*a*b* needs none
of it, see `irodori.inference.fused_lab`.
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
