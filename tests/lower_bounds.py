"""The oldest allowed dependencies: `pins` prints them, `check` uses the modules with them."""

import importlib
import pkgutil
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
# Of these the oldest tested version is the one that plain pip installs.
NEWEST = {"torch", "torchvision"}
IMPORTED_EXTRAS = ("search", "slurm", "c2pa", "demo", "export")


def pins() -> dict[str, str]:
    """Name → oldest allowed version of each dependency but torch and torchvision."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    extras = project["optional-dependencies"]
    requirements = [
        *project["dependencies"],
        *(r for name in IMPORTED_EXTRAS for r in extras[name]),
    ]
    pairs = dict(requirement.partition(",")[0].split(">=") for requirement in requirements)
    return {name: oldest for name, oldest in pairs.items() if name not in NEWEST}


def check() -> None:
    """Import irodori's modules with exactly the pinned versions."""
    from packaging.version import Version

    wrong = {
        name: version(name.partition("[")[0])
        for name, oldest in pins().items()
        if Version(version(name.partition("[")[0])) != Version(oldest)
    }
    if wrong:
        sys.exit(f"not the oldest versions: {wrong}")
    sys.path.insert(0, str(PYPROJECT.parent / "src"))
    import irodori

    names = [module.name for module in pkgutil.walk_packages(irodori.__path__, "irodori.")]
    for name in names:
        importlib.import_module(name)
    # Beside an import: names of models and layers are timm's.

    from networks import joint

    for name in ("resnet18", "convnext_tiny", "mobilenetv4_conv_small", "pvt_v2_b0"):
        network = joint(3, width=0.05, backbone=name, decoder="skips")
        if len(network.backbone.encoder_layers()) < 5:
            sys.exit(f"{name} of timm has too few layers")
    print(f"{len(names)} modules import with the oldest allowed dependencies")


if __name__ == "__main__":
    if sys.argv[1] == "pins":
        print("\n".join(f"{name}=={oldest}" for name, oldest in pins().items()))
    else:
        check()
