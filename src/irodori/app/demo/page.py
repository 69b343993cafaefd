"""The page's components, the progress of a visitor's request, and its API."""

import csv
import shutil
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import gradio as gr
import jinja2

from irodori.app.demo.hint_editor import HintEditor
from irodori.app.demo.service import (
    ColorizeRequest,
    ColorizeService,
    Limits,
    Result,
    VisitorLeftError,
    reason,
)
from irodori.app.demo.upload_store import UploadStore, Visit
from irodori.inference.settings import MAX_SATURATION, WORK_SIZE, ColorizeSettings

NOBODY = "none"
"""Choice that stands for no second model."""
EXAMPLES = "examples"
"""Name of the folder of examples in the folder of uploads."""
QUEUE = "colorize"
"""Name of the queue that page and API share."""

TITLE = "irodori: colors for old photographs"
INTRODUCTION = """# irodori · colors for old photographs

Choose one or more photos, or an example, and press **Colorize**. Then move the slider between gray
and colorized. Colors are guesses of a neural network, not history; results say so in their files.
"""
PRIVACY = (
    "Photos are colorized on the machine that shows this page. They and their results are deleted"
    " when the page is closed."
)
SEEN = "The starter model has seen none of the examples in training."
SILENT: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Settings of events that show no progress."""
FOLDER = Path(__file__).parent / "examples"
LIST = "examples.csv"
LIKELIEST = 6
"""Number of scenes that are shown."""
_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    trim_blocks=True,
    undefined=jinja2.StrictUndefined,
)


class Example(NamedTuple):
    """A bundled photograph: a JPEG file and, as `source`, the web page that it comes from."""

    file: Path
    title: str
    author: str
    licence: str
    source: str


def build(editor: HintEditor, store: UploadStore) -> gr.Blocks:
    """Build the page and its queue.

    Args:
        editor: applies hints to the results of its service.
        store: holds visitors' files; its root is gradio's temporary folder.
    """
    limits, names = editor.service.limits, editor.service.models.names
    examples = copied_to(store.root / EXAMPLES)
    page = gr.Blocks(title=TITLE, analytics_enabled=False)
    with page:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                photos = gr.File(
                    label="Photos", file_count="multiple", height=180, elem_id="photos"
                )
                gr.Markdown(_limits(limits))
                gallery = _gallery(examples)
                model, other, saturation, style, strength = _choices(names)
                start = gr.Button("Colorize", variant="primary", elem_id="start")
            with gr.Column(scale=2, min_width=320):
                shown = gr.HTML(
                    status("No photo has been colorized yet."),
                    elem_id="status",
                    js_on_load="element.setAttribute('role', 'status')",
                    min_height=40,
                )
                slots = [
                    gr.HTML("", js_on_load=None, elem_classes="place") for _ in range(limits.photos)
                ]
        about = f"<p>{PRIVACY}</p><p>{attribution(examples)} {SEEN}</p>"
        gr.HTML(about, js_on_load=None, elem_id="about")

        def choose(event: gr.SelectData) -> list[str]:
            return [str(examples[int(event.index)].file)]

        def hold(files: list[str] | None, style: str | None, request: gr.Request) -> None:
            store.hold(request.session_hash or "", _paths([*(files or []), style]))

        def color(
            files: list[str] | None,
            model: str,
            other: str,
            saturation: float,
            style: str | None,
            style_strength: float,
            request: gr.Request,
        ) -> Iterator[dict[Any, Any]]:
            visit = store.hold(request.session_hash or "", _paths([*(files or []), style]))
            visit.forget_results()
            wanted = ColorizeRequest(
                _paths(files or []),
                [model] if other in (NOBODY, model) else [model, other],
                ColorizeSettings(WORK_SIZE, saturation, style_strength),
                Path(style) if style else None,
            )
            changes: dict[Any, Any] = dict.fromkeys(slots, "")
            for number, html in steps(editor, wanted, visit):
                changes[shown if number is None else slots[number]] = html
                yield changes
                changes = {}

        def leave(request: gr.Request) -> None:
            store.leave(request.session_hash or "")
            editor.forget_gone()

        gallery.select(choose, None, photos, **SILENT)
        for sent in (photos, style):
            sent.change(hold, [photos, style], None, **SILENT)
        turns: dict[str, Any] = {"concurrency_id": QUEUE, "concurrency_limit": limits.at_once}
        start.click(
            color,
            [photos, model, other, saturation, style, strength],
            [shown, *slots],
            show_progress_on=shown,
            api_visibility="private",
            **turns,
        )
        # The API takes the page's fields, but one photo instead of several.
        fields = [gr.File(visible=False), model, saturation, style, strength]
        answers = [gr.File(visible=False), gr.JSON(visible=False), gr.JSON(visible=False)]
        unseen = gr.Button(visible=False)
        colorize = _endpoint(editor.service, store)
        unseen.click(colorize, fields, answers, api_name="colorize", **turns)
        page.unload(leave)
    # Without an open route, clients can't bypass the queue.
    page.queue(max_size=limits.waiting, api_open=False)
    return page


def _endpoint(service: ColorizeService, store: UploadStore) -> Callable[..., Any]:
    """Return the function behind the API's /colorize; its results are kept for a while."""

    # The argument names are part of the API.
    def colorize(
        photo: str | None,
        model: str = service.models.names[0],
        saturation: float = 1.0,
        style: str | None = None,
        style_strength: float = 1.0,
    ) -> tuple[str, dict[str, float], list[str]]:
        """Colorize a photo. Returns the result's file, scene probabilities, and notes."""
        if photo is None:
            raise gr.Error("the request has no photo", print_exception=False)
        try:
            settings = ColorizeSettings(WORK_SIZE, saturation, style_strength)
            paths = _paths([photo])
            request = ColorizeRequest(paths, [model], settings, Path(style) if style else None)
            (result,) = service.colorize(request, paths[0], store.new_folder)
        except Exception as error:
            raise gr.Error(reason(error), print_exception=False) from None
        return str(result.file), result.scenes, list(result.notes)

    return colorize


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
    """Add the fields for two models, saturation, the style photo and its strength."""
    several = len(names) > 1
    model = gr.Dropdown(names, value=names[0], label="Model", visible=several, elem_id="model")
    other = gr.Dropdown(
        [NOBODY, *names], value=NOBODY, label="Compare with", visible=several, elem_id="other"
    )
    saturation = gr.Slider(
        0, MAX_SATURATION, value=1, step=0.05, label="Saturation: 0 is gray", elem_id="saturation"
    )
    with gr.Accordion("Style: colors as in another photo", open=False):
        style = gr.File(label="Style photo", height=130, elem_id="style")
        strength = gr.Slider(
            0, 1, value=1, step=0.05, label="Strength: 0 is none", elem_id="strength"
        )
    return model, other, saturation, style, strength


def _paths(files: list[Any]) -> list[Path]:
    return [Path(file) for file in files if file is not None]


def steps(
    editor: HintEditor, request: ColorizeRequest, visit: Visit
) -> Iterator[tuple[int | None, str]]:
    """Colorize a request's photos while the visitor stays, and accept hints for the results.

    Yields:
        What to update (the index of a photo, or None for the status line), and its HTML.
    """
    total, max_photos = len(request.photos), editor.service.limits.photos
    if not total:
        yield None, status("Choose a photo or an example first.")
        return
    if total > max_photos:
        yield None, status(f"{total} photos are too many: up to {max_photos} at a time.")
        return
    done = 0
    for number, photo in enumerate(request.photos):
        of = f" ({number + 1} of {total})" if total > 1 else ""
        yield None, status(f"Colorizing {photo.name}{of} …", number, total)
        try:
            results = editor.service.colorize(request, photo, visit.new_folder, visit.check)
        except VisitorLeftError:
            return
        except Exception as error:
            yield number, refusal(photo.name, reason(error))
        else:
            done += 1
            editor.offer(request, photo, results)
            # Gradio names the folder of an upload by its content.
            yield number, card(photo.name, results, key="/".join(photo.parts[-2:]))
    if total > 1:
        yield None, status(f"Done: {done} of {total} photos are colorized.")
    else:
        yield None, status("Done." if done else "No photo was colorized.")


def copied_to(folder: Path) -> list[Example]:
    """Copy the examples to a folder that the page may serve, and return the copies."""
    shutil.copytree(FOLDER, folder)
    with (folder / LIST).open(encoding="utf-8", newline="") as file:
        return [Example(folder / row.pop("file"), **row) for row in csv.DictReader(file)]


def attribution(examples: list[Example]) -> str:
    """Return HTML that names the photographers."""
    items = "; ".join(
        f'<a href="{escape(example.source)}" rel="noreferrer">{escape(example.title)}</a>'
        f" by {escape(example.author)} ({escape(example.licence)})"
        for example in examples
    )
    return f"Examples: {items}."


def card(name: str, results: Sequence[Result], key: str = "") -> str:
    """Return HTML that shows a photo and its results by one or more models.

    Args:
        name: name of the photo's file.
        results: one result per model.
        key: identifies the photo; it stays the same when the photo is colorized again.
    """
    template = _templates.get_template("photo.html.j2")
    size = results[0].size
    return template.render(name=name, size=size, results=results, key=key, likeliest=LIKELIEST)


def refusal(name: str, why: str) -> str:
    """Return HTML for a photo that was not colorized."""
    return (
        f'<article class="photo refused"><h3>{escape(name)}</h3>'
        f"<p><strong>Not colorized:</strong> {escape(why)}</p></article>"
    )


def status(line: str, done: int = 0, total: int = 0) -> str:
    """Return HTML for the progress: a line of text, and a bar while work remains."""
    bar = f'<progress value="{done}" max="{total}" aria-hidden="true"></progress>' if total else ""
    return f"<p>{escape(line)}</p>{bar}"


def address(file: Path) -> str:
    """Return a file's URL, relative so that it also works behind a proxy."""
    return "gradio_api/file=" + quote(str(file))


_templates.filters["address"] = address
