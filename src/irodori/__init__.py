"""irodori trains, compares and uses networks that color black-and-white photographs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irodori.inference.colorizer import Colorizer
    from irodori.inference.hints import Hint
    from irodori.network import JointNetwork

__version__ = "0.2.0"
__all__ = ["Colorizer", "Hint", "JointNetwork", "__version__"]
_HOMES = {"Colorizer": "inference.colorizer", "Hint": "inference.hints"}
_HOMES |= {"JointNetwork": "network"}


def __getattr__(name: str) -> Any:
    # Lazy, so that `import irodori` loads no torch.
    if name in _HOMES:
        return getattr(import_module(f"irodori.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'irodori' has no attribute {name!r}")
