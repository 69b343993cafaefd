"""irodori trains, compares and uses networks that color black-and-white photographs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irodori.inference.colorizer import Colorizer
    from irodori.inference.hints import Hint
    from irodori.network import JointNetwork

__version__ = "0.2.0"
__all__ = ["Colorizer", "Hint", "JointNetwork", "__version__"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `import irodori` loads no torch.
    if name == "Colorizer":
        from irodori.inference.colorizer import Colorizer

        return Colorizer
    if name == "Hint":
        from irodori.inference.hints import Hint

        return Hint
    if name == "JointNetwork":
        from irodori.network import JointNetwork

        return JointNetwork
    raise AttributeError(f"module 'irodori' has no attribute {name!r}")
