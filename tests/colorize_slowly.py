"""`irodori colorize` with a stand-in for the network: `colorize_slowly.py SECONDS ARGUMENT…`.

Each photo takes that many seconds, and comes out as it went in.
"""

import sys
import time
import types


class BatchColorizer:
    provenance = None

    def __init__(self, options, photos, jobs, report):
        pass

    def __call__(self, pixels_HWC, sharing=1, hints=()):
        time.sleep(float(sys.argv[1]))
        pixels_HW3 = pixels_HWC.repeat(4 - pixels_HWC.shape[2], 2)[..., :3]
        return types.SimpleNamespace(pixels_HW3=pixels_HW3, scenes={}, work_size=(1, 1))


if __name__ == "__main__":
    stand_in = types.ModuleType("irodori.inference.batch_colorizer")
    stand_in.BatchColorizer = BatchColorizer
    sys.modules[stand_in.__name__] = stand_in
    from irodori.cli.app import app

    app(["colorize", *sys.argv[2:]])
