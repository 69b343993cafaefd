"""The progress of a visitor's request, photo by photo, as updates of the page."""

from collections.abc import Iterator

from irodori.app.demo.hint_editor import HintEditor
from irodori.app.demo.markup import card, refusal, status
from irodori.app.demo.service import ColorizeRequest, VisitorLeftError, reason
from irodori.app.demo.upload_store import Visit


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
