"""The page: what a visitor sees and chooses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from irodori.app.demo import markup
from irodori.app.demo.api import TURN, offer
from irodori.app.demo.examples import Example, attribution, copied_to
from irodori.app.demo.limits import Limits
from irodori.app.demo.studio import Studio
from irodori.app.demo.visits import Visits
from irodori.app.demo.work import Order, fulfil

NOBODY = "none"
"""The choice of no second model."""
EXAMPLES = "examples"
"""The examples' folder, in that of the visits."""

TITLE = "irodori: colours for old photographs"
INTRODUCTION = """# irodori · colours for old photographs

Choose one or more photos, or an example, and press **Colour**. Then move the slider between gray
and coloured. Colours are guesses of a neural network, not history.
"""
PRIVACY = (
    "Photos are coloured on the machine that shows this page. They and their results are deleted"
    " when the page is closed."
)
LEARNT = "The starter model has seen the examples in training, but for the first one."
SILENT: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}
"""Events that nobody waits for."""


def build(studio: Studio, visits: Visits, waiting: int, at_once: int) -> gr.Blocks:
    """The page with its queue.

    Args:
        studio: colours.
        visits: keeps the files; gradio's folder is its root.
        waiting: visitors in the queue, at most.
        at_once: visitors whose photos are coloured at the same time.
    """
    examples = copied_to(visits.root / EXAMPLES)
    page = gr.Blocks(title=TITLE, analytics_enabled=False)
    with page:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                photos = gr.File(
                    label="Photos", file_count="multiple", height=180, elem_id="photos"
                )
                gr.Markdown(_limits(studio.limits))
                gallery = _gallery(examples)
                choices = _choices(studio.models.names)
                start = gr.Button("Colour", variant="primary", elem_id="start")
            with gr.Column(scale=2, min_width=320):
                status = gr.HTML(
                    markup.status("No photo has been coloured yet."),
                    elem_id="status",
                    js_on_load="element.setAttribute('role', 'status')",
                    min_height=40,
                )
                places = [
                    gr.HTML("", js_on_load=None, elem_classes="place")
                    for _ in range(studio.limits.photos)
                ]
        about = f"<p>{PRIVACY}</p><p>{attribution(examples)} {LEARNT}</p>"
        gr.HTML(about, js_on_load=None, elem_id="about")

        def choose(event: gr.SelectData) -> list[str]:
            return [str(examples[int(event.index)].file)]

        def hold(files: list[str] | None, style: str | None, request: gr.Request) -> None:
            visits.hold(_session(request), _paths([*(files or []), style]))

        def color(
            files: list[str] | None,
            model: str,
            other: str,
            saturation: float,
            style: str | None,
            style_strength: float,
            request: gr.Request,
        ) -> Iterator[dict[Any, Any]]:
            visit = visits.hold(_session(request), _paths([*(files or []), style]))
            visit.forget_results()
            names = [model] if other in (NOBODY, model) else [model, other]
            look = Path(style) if style else None
            order = Order(_paths(files or []), names, saturation, look, style_strength)
            changes: dict[Any, Any] = dict.fromkeys(places, "")
            for step in fulfil(order, studio, visit.new_folder):
                if step.status is not None:
                    changes[status] = step.status
                if step.photo is not None:
                    changes[places[step.place]] = step.photo
                yield changes
                changes = {}

        def leave(request: gr.Request) -> None:
            visits.leave(_session(request))

        gallery.select(choose, None, photos, **SILENT)
        style = choices[3]
        for sent in (photos, style):
            sent.change(hold, [photos, style], None, **SILENT)
        start.click(
            color,
            [photos, *choices],
            [status, *places],
            concurrency_id=TURN,
            concurrency_limit=at_once,
            show_progress_on=status,
            api_visibility="private",
        )
        offer(studio, visits, at_once)
        page.unload(leave)
    # Not open: what has a queue can't be called past it.
    page.queue(max_size=waiting, api_open=False)
    return page


def _limits(limits: Limits) -> str:
    many = f"Up to {limits.photos} photos, each up to" if limits.photos > 1 else "A photo of up to"
    return f"{many} {limits.megabytes:g} MB and {limits.megapixels:g} million pixels."


def _gallery(examples: list[Example]) -> gr.Gallery:
    return gr.Gallery(
        value=[(example.file, example.title) for example in examples],
        label="Or an example",
        columns=2,
        height=330,
        allow_preview=False,
        interactive=False,
        object_fit="cover",
        buttons=[],
        elem_id="examples",
    )


def _choices(names: list[str]) -> tuple[Any, ...]:
    """Two models, saturation, the style photo and its strength."""
    several = len(names) > 1
    model = gr.Dropdown(names, value=names[0], label="Model", visible=several, elem_id="model")
    other = gr.Dropdown(
        [NOBODY, *names], value=NOBODY, label="Compare with", visible=several, elem_id="other"
    )
    label = "Saturation: 0 is gray"
    saturation = gr.Slider(0, 2, value=1, step=0.05, label=label, elem_id="saturation")
    with gr.Accordion("Style: colours as in another photo", open=False):
        style = gr.File(label="Style photo", height=130, elem_id="style")
        label = "Strength: 0 is none"
        strength = gr.Slider(0, 1, value=1, step=0.05, label=label, elem_id="strength")
    return model, other, saturation, style, strength


def _paths(files: list[Any]) -> list[Path]:
    return [Path(file) for file in files if file is not None]


def _session(request: gr.Request) -> str:
    return request.session_hash or ""
