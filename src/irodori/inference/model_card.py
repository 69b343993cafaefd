"""Model cards for the Hugging Face hub."""

from irodori.model import Model


def model_card(model: Model, address: str) -> str:
    """Return a model card (Markdown with the hub's metadata) generated from the model.

    Args:
        address: address on the hub, hf://user/name.
    """
    network = model.network
    decoder = network.arguments["decoder"]
    backbone = network.backbone
    shards = [f"{shard['name']} ({shard['sha256'][:8]})" for shard in model.trained_on]
    rows = {
        "backbone": getattr(backbone, "name", type(backbone).__name__),
        "decoder": getattr(decoder, "func", type(decoder)).__name__,
        "parameters": f"{sum(weight.numel() for weight in network.parameters()):,}",
        "color space": type(model.space).__name__,
        "takes hints": "yes" if network.hint_channels else "no",
        "scenes": ", ".join(model.classes) or "none",
        "α": f"{model.alpha:g}",
        "trained on": ", ".join(shards) or "unknown",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""---
library_name: irodori
pipeline_tag: image-to-image
tags: [image-colorization]
---

# {address.removeprefix("hf://")}

Colorizes black-and-white photographs, with irodori:

```bash
pip install irodori
irodori colorize photo.jpg --output colorized.jpg --checkpoint {address}
```

| | |
|---|---|
{table}

Colors are guesses, not history: mention this wherever you show them.
"""
