"""`irodori import`: convert the weights that the paper's authors published."""

from pathlib import Path
from typing import Annotated

import typer

from irodori.cli.options import Overwrite
from irodori.cli.reporting import report_errors
from irodori.utils.progress import waiting


def import_weights(
    file: Annotated[Path, typer.Argument(help="The authors' file colornet.t7 (Torch7).")],
    output: Annotated[Path, typer.Option(help="Checkpoint to write.")],
    overwrite: Overwrite = False,
) -> None:
    """Convert the weights published by the paper's authors to a checkpoint."""
    with report_errors(), waiting(f"converting {file}"):
        # Imported here, so that `irodori --help` doesn't wait for torch.
        from irodori.torch7 import colornet

        network = colornet.import_weights(file, output, overwrite).network
    parameters = sum(weight.numel() for weight in network.parameters())
    print(
        f"{output}: {parameters:,} parameters (width {network.arguments['width']:g}),"
        f" {network.arguments['num_classes']} classes,"
        f" input mean {network.arguments['backbone'].input_mean:g}"
    )
    print(
        "license: the weights are under CC BY-NC-SA 4.0: credit the authors, no commercial"
        " use, and share derived works under the same license"
    )
