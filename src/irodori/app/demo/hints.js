// <hint-editor>: hints as dots on a colorized photo. A click on the photo
// opens a palette. Requests contain the hints as a hint file, so the server stores no state.

const MOVED = 4; // pixels from which on a click is a drag
const TEMPLATE = `
  <div class="hint-bar" role="group">
    <button type="button" data-do="add">Add a hint</button>
    <button type="button" data-do="undo" title="Ctrl+Z">Undo</button>
    <button type="button" data-do="redo" title="Ctrl+Y">Redo</button>
    <button type="button" data-do="save">Save hints</button>
    <button type="button" data-do="load">Load hints</button>
    <input type="file" accept=".json,application/json" hidden>
  </div>
  <p class="hint-status" role="status"></p>`;
// By photo and model, so that a photo keeps its hints when it is colorized again.
const histories = new Map();
let changed = null; // the editor whose hints were changed last

const percent = (share) => `${Math.round(100 * share)} %`;

/** Return the text of a hint file. */
function hintFile(hints) {
  const round = (share) => Number(share.toFixed(5));
  const rounded = hints.map(({ x, y, color }) => ({ x: round(x), y: round(y), color }));
  return JSON.stringify({ version: 1, units: "share", hints: rounded }, null, 1);
}

class HintEditor extends HTMLElement {
  connectedCallback() {
    const result = this.closest(".result");
    this.innerHTML = TEMPLATE;
    this.compare = result.querySelector(".compare");
    this.slider = this.compare.querySelector("input");
    this.image = this.compare.querySelector(".colorized");
    this.link = result.querySelector(".full-size");
    this.status = this.querySelector(".hint-status");
    this.adder = this.querySelector("[data-do=add]");
    this.querySelector(".hint-bar").setAttribute("aria-label", `Hints: ${this.dataset.of}`);
    this.dots = document.createElement("div");
    this.dots.className = "hint-dots";
    this.ring = document.createElement("span"); // where a hint will be that has no color yet
    this.ring.className = "hint-dot new";
    this.compare.append(this.dots);
    this.palette = new Palette(this, {
      choose: (color) => this.choose(color),
      remove: () => this.hints[this.index] && this.delete(this.index),
      closed: () => this.closed(),
    });
    if (this.dataset.style) this.palette.show(this.dataset.style);

    this.original = this.image.src;
    this.written = hintFile([]); // the hints of the file behind the link
    const kept = histories.get(this.dataset.key) ?? [[], [], []];
    [this.hints, this.past, this.future] = kept.map((list) => [...list]);

    for (const button of this.querySelectorAll("[data-do]")) {
      button.addEventListener("click", () => this[button.dataset.do]());
    }
    this.input = this.querySelector("[type=file]");
    this.input.addEventListener("change", () => {
      if (this.input.files.length) this.read(this.input.files[0]);
      this.input.value = ""; // so that the same file can be chosen again
    });
    this.compare.addEventListener("click", (event) => {
      if (event.target.tagName !== "IMG") return;
      this.open(this.hints.length, placeOf(event, this.compare));
    });
    // Otherwise browsers would drag the picture below a dot.
    this.compare.addEventListener("dragstart", (event) => event.preventDefault());
    this.link.addEventListener("click", (event) => this.download(event));
    this.render();
    if (this.hints.length) this.refresh();
  }

  disconnectedCallback() {
    if (this.image.src !== this.original) URL.revokeObjectURL(this.image.src);
  }

  // The hints and their history.

  /** Set the hints; changes of the same step, such as a drag, are undone together. */
  change(hints, step) {
    if (step !== this.step) this.past.push(this.hints);
    this.future = [];
    this.set(hints, step);
  }

  undo() {
    this.go(this.past, this.future);
  }

  redo() {
    this.go(this.future, this.past);
  }

  /** Restore the last hints of one list, and push the current ones onto the other. */
  go(from, to) {
    if (!from.length) return;
    to.push(this.hints);
    this.set(from.pop());
  }

  set(hints, step = null) {
    [this.hints, this.step, changed] = [hints, step, this];
    histories.set(this.dataset.key, [this.hints, this.past, this.future]);
    this.render();
    this.refresh();
  }

  put(index, hint, step) {
    this.change(this.hints.toSpliced(index, 1, { ...this.hints[index], ...hint }), step);
  }

  delete(index) {
    this.change(this.hints.toSpliced(index, 1), {});
    (this.dots.children[index] ?? this.adder).focus();
  }

  // The dots.

  render() {
    const focused = this.dots.contains(document.activeElement);
    while (this.dots.children.length > this.hints.length) this.dots.lastChild.remove();
    // Otherwise keyboard users would be back at the top of the page.
    if (focused && !this.dots.contains(document.activeElement)) this.adder.focus();
    this.hints.forEach((hint, index) => {
      const dot = this.dots.children[index] ?? this.dots.appendChild(this.dot(index));
      dot.style.cssText = `left: ${100 * hint.x}%; top: ${100 * hint.y}%; --color: ${hint.color}`;
      const where = `${percent(hint.x)} from the left, ${percent(hint.y)} from the top`;
      dot.setAttribute("aria-label", `Hint ${index + 1}: ${hint.color}, ${where}`);
    });
    // Not disabled: the focus would be lost.
    const able = { undo: this.past, redo: this.future, save: this.hints };
    for (const [action, { length }] of Object.entries(able)) {
      this.querySelector(`[data-do=${action}]`).setAttribute("aria-disabled", length === 0);
    }
    const count = this.hints.length;
    this.say(count ? `${count} ${count > 1 ? "hints" : "hint"}` : "");
  }

  dot(index) {
    const dot = document.createElement("button");
    Object.assign(dot, { type: "button", className: "hint-dot" });
    dot.title = "Enter changes the color, arrow keys or dragging move the hint, Delete removes it";
    let keyStep = {};
    dot.addEventListener("focus", () => (keyStep = {}));
    dot.addEventListener("keydown", (event) => {
      const place = placeAfterKey(this.hints[index], event, 0.005, 0.05);
      if (place) this.put(index, place, keyStep);
      else if (event.key === "Delete" || event.key === "Backspace") this.delete(index);
      else return;
      event.preventDefault();
    });
    let dragged = false;
    dot.addEventListener("pointerdown", (start) => {
      const step = {};
      dragged = false;
      dot.setPointerCapture(start.pointerId);
      dot.onpointermove = (event) => {
        const far = Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY);
        dragged ||= far >= MOVED;
        if (dragged) this.put(index, placeOf(event, this.compare), step);
      };
      dot.onlostpointercapture = () => (dot.onpointermove = null);
    });
    dot.addEventListener("click", (event) => {
      // A keyboard click (detail 0) has no pointerdown event.
      if (!dragged || event.detail === 0) this.open(index, this.hints[index]);
    });
    return dot;
  }

  // The color of a hint.

  add() {
    this.open(this.hints.length, { x: 0.5, y: 0.5 });
  }

  /** Open the palette for a hint, or for a new one at a position. */
  open(index, { x, y }) {
    Object.assign(this, { index, at: { x, y }, paletteStep: {} });
    if (100 * x > this.slider.value) {
      // In the gray part, the effect of the hint would be invisible.
      this.slider.value = 100;
      this.slider.dispatchEvent(new Event("input"));
    }
    const color = this.hints[index]?.color;
    this.ring.remove();
    this.ring.style.cssText = `left: ${100 * x}%; top: ${100 * y}%`;
    if (!color) this.compare.append(this.ring);
    const likely = this.ask(`colors?x=${x}&y=${y}`, "");
    this.palette.open(color, this.at, this.compare.getBoundingClientRect(), likely);
  }

  choose(color) {
    this.ring.remove();
    this.put(this.index, { ...(this.hints[this.index] ?? this.at), color }, this.paletteStep);
  }

  closed() {
    this.ring.remove();
    (this.dots.children[this.index] ?? this.adder).focus();
  }

  // Files and the server.

  save() {
    if (!this.hints.length) return;
    const stem = this.dataset.name.replace(/\.[^.]*$/, "");
    const blob = new Blob([hintFile(this.hints)], { type: "application/json" });
    const link = document.createElement("a");
    Object.assign(link, { href: URL.createObjectURL(blob), download: `${stem}.hints.json` });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  load() {
    this.input.click();
  }

  async read(file) {
    const answer = await this.ask("read", await file.text());
    if (answer.ok) this.change((await answer.json()).hints, {});
    else this.say(`${file.name}: ${await answer.text()}`, true);
  }

  async ask(what, body) {
    try {
      return await fetch(`hints/${this.dataset.token}/${what}`, { method: "POST", body });
    } catch {
      return new Response("The server can't be reached.", { status: 502 });
    }
  }

  /** Update the preview; during a request, only the last change is kept. */
  async refresh() {
    this.stale = true;
    if (this.busy) return;
    this.busy = true;
    while (this.stale && this.isConnected) {
      this.stale = false;
      await this.showHints();
    }
    this.busy = false;
  }

  async showHints() {
    let address = this.original;
    if (this.hints.length) {
      const answer = await this.ask("preview", hintFile(this.hints));
      if (!answer.ok) return this.say(await answer.text(), true);
      address = URL.createObjectURL(await answer.blob());
    }
    const before = this.image.src;
    this.image.src = address;
    if (before !== this.original) URL.revokeObjectURL(before);
  }

  /** Update the linked file if it was written with other hints. */
  async download(event) {
    const text = hintFile(this.hints);
    if (text === this.written) return;
    event.preventDefault();
    if (this.link.ariaBusy === "true") return;
    this.link.ariaBusy = "true";
    this.say("Colorizing at full size …");
    const answer = await this.ask("file", text);
    this.link.ariaBusy = "false";
    const said = await answer.text();
    if (!answer.ok) return this.say(said, true);
    this.link.href = said;
    this.written = text;
    this.render();
    this.link.click();
  }

  say(line, failed = false) {
    this.status.textContent = line || "Click on the photo to add a hint.";
    this.status.classList.toggle("failed", failed);
  }
}

customElements.define("hint-editor", HintEditor);

document.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  const writes = event.target.closest("input:not([type=range]), textarea");
  if (!(event.ctrlKey || event.metaKey) || !["y", "z"].includes(key) || writes) return;
  const editor = event.target.closest(".result")?.querySelector("hint-editor") ?? changed;
  if (!editor?.isConnected || editor.palette.dialog.open) return;
  if (key === "z" && !event.shiftKey) editor.undo();
  else editor.redo();
  event.preventDefault();
});
