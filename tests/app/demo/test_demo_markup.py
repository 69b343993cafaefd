import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from irodori.app.demo.page import card, refusal, status
from irodori.app.demo.service import Result

TAGS = {
    *("article", "section", "div", "p", "h3", "h4", "small", "span", "strong", "a", "img", "input"),
    *("hint-editor", "ul", "li", "table", "caption", "tbody", "tr", "th", "td", "progress"),
}
SCENES = {"solar_panel": 0.7, "animal": 0.3}


class Elements(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def painted(name="photo", model="starter", scenes=SCENES, **more):
    return Result(model, (3, 2), Path(f"/tmp/a b/{name}-colorized.jpg"), scenes, **more)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1))
def test_names_are_text_and_nothing_else(name):
    for html in (
        card(name, [painted(name)]),
        card(name, [painted(name, takes_hints=True)], name),
        card("photo", [painted(notes=(name,))]),
        refusal(name, f"because of {name}"),
        status(name, 1, 2),
    ):
        assert {tag for tag, _ in Elements(html).found} <= TAGS
        assert name in Elements(html).text
    page = Elements(card(name, [painted(name)]))
    (link,) = page.of("a")
    assert link["download"] == f"{name}-colorized.jpg"
    assert unquote(link["href"]) == f"gradio_api/file=/tmp/a b/{name}-colorized.jpg"
    assert {key for _, attributes in page.found for key in attributes if key[:2] == "on"} == {
        "oninput"
    }


def test_two_models_side_by_side():
    noted = painted(notes=("picture 1 of 2", "BMP holds < 2 notes"))
    html = card("photo.jpg", [noted, painted(model="lab_alpha1/x", scenes={})])
    page = Elements(html)
    assert re.findall("<h4>(.*?)</h4>", html) == ["starter", "lab_alpha1/x"]
    labels = [slider["aria-label"] for slider in page.of("input")]
    assert labels == [
        f"From gray to colorized: photo.jpg, {m}" for m in ("starter", "lab_alpha1/x")
    ]
    assert "says nothing of scenes" in page.text
    assert len(page.of("table")) == 1
    assert (len(page.of("ul")), len(page.of("li"))) == (1, 2)
    assert "BMP holds < 2 notes" in page.text


def test_hints_where_the_model_takes_them():
    with_style = painted(takes_hints=True, style_1G=object())
    page = Elements(card("photo.jpg", [with_style, painted(model="other")], "key"))
    (editor,) = page.of("hint-editor")
    assert editor == {
        "data-token": "a b",
        "data-key": "key starter",
        "data-name": "photo.jpg",
        "data-of": "photo.jpg, starter",
        "data-style": "gradio_api/file=/tmp/a%20b/style.jpg",
    }
    assert page.text.count("trained without hints") == 1
