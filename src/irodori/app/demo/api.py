"""The page's API: the endpoint /colorize."""

from pathlib import Path

import gradio as gr

from irodori.app.demo.studio import Studio, reason
from irodori.app.demo.visits import Visits
from irodori.app.demo.work import wishes

TURN = "colour"
"""What page and API wait for in one queue."""


def offer(studio: Studio, visits: Visits, at_once: int) -> None:
    """Add the endpoint to the page that is being built; its fields aren't shown.

    Args:
        studio: colours.
        visits: makes folders for results, which stay for `visits.AGE` seconds.
        at_once: visitors whose photos are coloured at the same time.
    """
    names = studio.models.names

    # The names of these are the API's.
    def colorize(
        photo: str | None,
        model: str = names[0],
        saturation: float = 1.0,
        style: str | None = None,
        style_strength: float = 1.0,
    ) -> tuple[str, dict[str, float]]:
        """Colour a photo: the result at its size, and scenes with their probabilities."""
        if photo is None:
            raise gr.Error("no photo was sent", print_exception=False)
        path = Path(photo)
        try:
            look = Path(style) if style else None
            wanted = wishes(studio, saturation, look, style_strength)
            painted = studio.paint(studio.read(path), path.name, model, wanted, visits.new_folder)
        except Exception as error:
            raise gr.Error(reason(error), print_exception=False) from None
        return str(painted.file), painted.scenes

    with gr.Group(visible=False):
        fields = [
            gr.File(label="Photo"),
            gr.Dropdown(names, value=names[0], label="Model"),
            gr.Slider(0, 2, value=1, label="Saturation"),
            gr.File(label="Style photo"),
            gr.Slider(0, 1, value=1, label="Style strength"),
        ]
        answers = [gr.File(label="Coloured"), gr.JSON(label="Scenes")]
        gr.Button().click(
            colorize,
            fields,
            answers,
            api_name="colorize",
            concurrency_id=TURN,
            concurrency_limit=at_once,
        )
