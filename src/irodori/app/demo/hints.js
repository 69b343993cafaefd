// <hint-editor>: dots on a colorized photo that say which color belongs where. A click on the photo
// opens a palette. The server is asked with the hints as a hint file, and has nothing to remember.

(() => {
  const MOVED = 4; // pixels from which on a click is a drag
  const STEP = 0.005; // of the photo's side: an arrow key's; ten times as much with Shift
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  // By photo and model: a photo that is colorized again, say with more saturation, keeps its hints.
  const histories = new Map();
  let changed = null; // the editor whose hints were changed last

  const TEMPLATE = `
    <div class="hint-bar" role="group">
      <button type="button" data-do="add">Add a hint</button>
      <button type="button" data-do="undo" title="Ctrl+Z">Undo</button>
      <button type="button" data-do="redo" title="Ctrl+Y">Redo</button>
      <button type="button" data-do="save">Save hints</button>
      <button type="button" data-do="load">Load hints</button>
      <input type="file" accept=".json,application/json" hidden>
    </div>
    <p class="hint-status" role="status"></p>
    <dialog class="palette" aria-label="Color of the hint">
      <p>Likely here</p>
      <div class="swatches"></div>
      <label>Any color <input type="color"></label>
      <div class="pipette">
        <div class="sample" hidden>
          <canvas tabindex="0" role="application"
            aria-label="Photo to take a color from: click, or move with the arrow keys"></canvas>
          <span class="cross" aria-hidden="true"></span>
        </div>
        <button type="button" data-do="other">Take it from a photo …</button>
        <input type="file" accept="image/*" hidden>
      </div>
      <div class="ends">
        <button type="button" data-do="remove">Remove</button>
        <button type="button" data-do="done">Done</button>
      </div>
    </dialog>`;

  const clamp = (value, low, high) => Math.max(low, Math.min(value, high));
  const percent = (share) => `${Math.round(100 * share)} %`;
  const hex = (levels) =>
    "#" + levels.map((level) => Math.round(level).toString(16).padStart(2, "0")).join("");

  class HintEditor extends HTMLElement {
    connectedCallback() {
      const result = this.closest(".result");
      this.innerHTML = TEMPLATE;
      const find = (selector) => this.querySelector(selector);
      this.compare = result.querySelector(".compare");
      this.slider = this.compare.querySelector("input");
      this.image = this.compare.querySelector(".colorized");
      this.link = result.querySelector(".full-size");
      [this.status, this.palette, this.swatches] = [".hint-status", "dialog", ".swatches"].map(find);
      [this.any, this.sample, this.canvas] = ["[type=color]", ".sample", "canvas"].map(find);
      this.adder = find("[data-do=add]");
      this.dots = document.createElement("div");
      this.dots.className = "hint-dots";
      this.compare.append(this.dots);
      find(".hint-bar").setAttribute("aria-label", `Hints: ${this.dataset.of}`);

      this.original = this.image.src;
      this.written = this.file([]); // the hints of the file behind the link
      const history = histories.get(this.dataset.key);
      [this.hints, this.past, this.future] = history ?? [[], [], []];

      this.addEventListener("click", (event) => {
        const action = event.target.closest("[data-do]")?.dataset.do;
        if (action) this[action]();
        else if (event.target === this.palette) this.palette.close(); // outside of it
      });
      this.compare.addEventListener("click", (event) => {
        if (event.target.tagName === "IMG") this.open(this.hints.length, this.place(event));
      });
      // Browsers would drag the picture below a dot.
      this.compare.addEventListener("dragstart", (event) => event.preventDefault());
      this.palette.addEventListener("close", () => this.closed());
      this.any.addEventListener("input", () => this.choose(this.any.value));
      this.canvas.addEventListener("click", (event) => this.take(this.place(event, this.canvas)));
      this.canvas.addEventListener("keydown", (event) => this.nudge(event));
      const [hintFile, photoFile] = this.querySelectorAll("[type=file]");
      for (const [input, use] of [[hintFile, this.read], [photoFile, this.show]]) {
        input.addEventListener("change", () => {
          if (input.files.length) use.call(this, input.files[0]);
          input.value = ""; // so that the same file can be chosen again
        });
      }
      Object.assign(this, { load: () => hintFile.click(), other: () => photoFile.click() });
      this.link.addEventListener("click", (event) => this.download(event));
      if (this.dataset.style) this.draw(this.dataset.style);
      this.render();
      if (this.hints.length) this.refresh();
    }

    disconnectedCallback() {
      if (this.image.src !== this.original) URL.revokeObjectURL(this.image.src);
    }

    /** Where an event is on the photo, as shares of its width and height. */
    place(event, element = this.compare) {
      const box = element.getBoundingClientRect();
      return {
        x: clamp((event.clientX - box.left) / box.width, 0, 1),
        y: clamp((event.clientY - box.top) / box.height, 0, 1),
      };
    }

    // The hints and their history.

    /** Set the hints; changes of one step, such as a drag's, are undone together. */
    change(hints, step) {
      if (step !== this.step) this.past = [...this.past, this.hints];
      this.future = [];
      this.set(hints, step);
    }

    undo() {
      if (!this.past.length) return;
      this.future = [...this.future, this.hints];
      const hints = this.past.at(-1);
      this.past = this.past.slice(0, -1);
      this.set(hints);
    }

    redo() {
      if (!this.future.length) return;
      this.past = [...this.past, this.hints];
      const hints = this.future.at(-1);
      this.future = this.future.slice(0, -1);
      this.set(hints);
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

    delete(index, step = {}) {
      this.change(this.hints.toSpliced(index, 1), step);
      (this.dots.children[index] ?? this.adder).focus();
    }

    // The dots.

    render() {
      const focused = this.dots.contains(document.activeElement);
      while (this.dots.children.length > this.hints.length) this.dots.lastChild.remove();
      // Else who has only a keyboard would be back at the top of the page.
      if (focused && !this.dots.contains(document.activeElement)) this.adder.focus();
      this.hints.forEach((hint, index) => {
        const dot = this.dots.children[index] ?? this.dots.appendChild(this.dot(index));
        dot.style.cssText = `left: ${100 * hint.x}%; top: ${100 * hint.y}%; --color: ${hint.color}`;
        const where = `${percent(hint.x)} from the left, ${percent(hint.y)} from the top`;
        dot.setAttribute("aria-label", `Hint ${index + 1}: ${hint.color}, ${where}`);
      });
      // Not disabled: the focus would be lost.
      for (const [action, able] of [["undo", this.past], ["redo", this.future], ["save", this.hints]]) {
        const button = this.querySelector(`[data-do=${action}]`);
        button.setAttribute("aria-disabled", able.length === 0);
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
        if (event.key === "Delete" || event.key === "Backspace") this.delete(index);
        else if (KEYS[event.key]) {
          const far = event.shiftKey ? 10 * STEP : STEP;
          const [dx, dy] = KEYS[event.key];
          const { x, y } = this.hints[index];
          this.put(index, { x: clamp(x + far * dx, 0, 1), y: clamp(y + far * dy, 0, 1) }, keyStep);
        } else return;
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
          if (dragged) this.put(index, this.place(event), step);
        };
        dot.onlostpointercapture = () => (dot.onpointermove = null);
      });
      dot.addEventListener("click", (event) => {
        // One by the keyboard, which has no detail, comes without a pointerdown.
        if (!dragged || event.detail === 0) this.open(index, this.hints[index]);
      });
      return dot;
    }

    // The palette.

    add() {
      this.open(this.hints.length, { x: 0.5, y: 0.5 });
    }

    /** Open the palette for a hint, or for a new one at a place. */
    async open(index, { x, y }) {
      Object.assign(this, { index, at: { x, y }, paletteStep: {} });
      const color = this.hints[index]?.color;
      if (100 * x > this.slider.value) {
        // In the gray part, what the hint does couldn't be seen.
        this.slider.value = 100;
        this.slider.dispatchEvent(new Event("input"));
      }
      this.compare.querySelector(".new")?.remove();
      if (!color) {
        const ring = document.createElement("span");
        ring.className = "hint-dot new";
        ring.style.cssText = `left: ${100 * x}%; top: ${100 * y}%`;
        this.compare.append(ring);
      }
      this.any.value = color ?? "#808080";
      this.swatches.textContent = "…";
      this.palette.showModal();
      this.makeWay();
      const { paletteStep } = this;
      const answer = await this.ask(`colors?x=${x}&y=${y}`, "");
      if (paletteStep !== this.paletteStep) return; // it is another hint's by now
      const colors = answer.ok ? await answer.json() : [];
      this.swatches.replaceChildren(...colors.map((likely, number) => {
        const swatch = document.createElement("button");
        Object.assign(swatch, { type: "button", title: likely });
        swatch.style.background = likely;
        swatch.setAttribute("aria-label", `Likely color ${number + 1}: ${likely}`);
        swatch.addEventListener("click", () => this.choose(likely));
        return swatch;
      }));
      if (!answer.ok) this.swatches.textContent = await answer.text();
    }

    /** Put the palette beside the photo, or where there is no room, beside the hint. */
    makeWay() {
      const photo = this.compare.getBoundingClientRect();
      const dot = { x: photo.left + this.at.x * photo.width, y: photo.top + this.at.y * photo.height };
      const { width, height } = this.palette.getBoundingClientRect();
      const fits = (left) => left >= 8 && left + width <= innerWidth - 8;
      const left = [photo.right + 12, photo.left - 12 - width].find(fits);
      const below = dot.y + 24 + height < innerHeight ? dot.y + 24 : dot.y - 24 - height;
      const top = left === undefined ? below : dot.y - height / 2;
      this.palette.style.left = `${left ?? clamp(dot.x - width / 2, 8, innerWidth - width - 8)}px`;
      this.palette.style.top = `${clamp(top, 8, innerHeight - height - 8)}px`;
      // On phones it is at the bottom, and what it would cover is scrolled up.
      const covers = dot.y + 32 - this.palette.getBoundingClientRect().top;
      if (matchMedia("(max-width: 480px)").matches && covers > 0) scrollBy(0, covers);
    }

    choose(color) {
      this.compare.querySelector(".new")?.remove();
      this.any.value = color;
      this.put(this.index, { ...(this.hints[this.index] ?? this.at), color }, this.paletteStep);
    }

    closed() {
      if (this.palette.open) return; // for another hint: the event comes late
      this.compare.querySelector(".new")?.remove();
      this.paletteStep = null;
      (this.dots.children[this.index] ?? this.adder).focus();
    }

    done() {
      this.palette.close();
    }

    remove() {
      this.palette.close();
      if (this.hints[this.index]) this.delete(this.index);
    }

    // Colors from another photo, which stays in the browser.

    show(file) {
      const address = URL.createObjectURL(file);
      this.draw(address).finally(() => URL.revokeObjectURL(address));
    }

    async draw(address) {
      const photo = new Image();
      photo.src = address;
      try {
        await photo.decode();
      } catch {
        return this.say("This browser can't show that photo: choose a JPEG or PNG.", true);
      }
      const scale = Math.min(1, 480 / photo.naturalWidth);
      this.canvas.width = photo.naturalWidth * scale;
      this.canvas.height = photo.naturalHeight * scale;
      this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
      this.pen.drawImage(photo, 0, 0, this.canvas.width, this.canvas.height);
      this.sample.hidden = false;
      this.cross = { x: 0.5, y: 0.5 };
    }

    nudge(event) {
      if (!KEYS[event.key]) return;
      const [dx, dy] = KEYS[event.key];
      const far = event.shiftKey ? 0.1 : 0.02;
      const { x, y } = this.cross;
      this.take({ x: clamp(x + far * dx, 0, 1), y: clamp(y + far * dy, 0, 1) });
      event.preventDefault();
    }

    /** Take the mean color of the 5×5 pixels at a place of the other photo. */
    take(place) {
      this.cross = place;
      const cross = this.sample.querySelector(".cross");
      cross.style.cssText = `left: ${100 * place.x}%; top: ${100 * place.y}%`;
      const x = Math.round(place.x * (this.canvas.width - 1));
      const y = Math.round(place.y * (this.canvas.height - 1));
      const sums = [0, 0, 0, 0];
      this.pen.getImageData(x - 2, y - 2, 5, 5).data.forEach((v, i) => (sums[i % 4] += v));
      // Outside of the photo all four are 0.
      if (sums[3]) this.choose(hex(sums.slice(0, 3).map((sum) => (255 * sum) / sums[3])));
    }

    // Files and the server.

    /** The text of a hint file. */
    file(hints) {
      const round = (share) => Number(share.toFixed(5));
      const rounded = hints.map(({ x, y, color }) => ({ x: round(x), y: round(y), color }));
      return JSON.stringify({ version: 1, units: "share", hints: rounded }, null, 1);
    }

    save() {
      if (!this.hints.length) return;
      const stem = this.dataset.name.replace(/\.[^.]*$/, "");
      const blob = new Blob([this.file(this.hints)], { type: "application/json" });
      const link = document.createElement("a");
      Object.assign(link, { href: URL.createObjectURL(blob), download: `${stem}.hints.json` });
      link.click();
      URL.revokeObjectURL(link.href);
    }

    async read(file) {
      const answer = await this.ask("read", await file.text());
      if (!answer.ok) return this.say(`${file.name}: ${await answer.text()}`, true);
      this.change((await answer.json()).hints, {});
    }

    async ask(what, body) {
      try {
        return await fetch(`hints/${this.dataset.token}/${what}`, { method: "POST", body });
      } catch {
        return new Response("The server can't be reached.", { status: 502 });
      }
    }

    /** Show the photo with the hints; while an answer is awaited, only the last change counts. */
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
        const answer = await this.ask("preview", this.file(this.hints));
        if (!answer.ok) return this.say(await answer.text(), true);
        address = URL.createObjectURL(await answer.blob());
      }
      const before = this.image.src;
      this.image.src = address;
      if (before !== this.original) URL.revokeObjectURL(before);
    }

    /** Have the file behind the link written with the hints of now, if it has others. */
    async download(event) {
      const text = this.file(this.hints);
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
      this.say("");
      this.link.click();
    }

    say(line, failed = false) {
      this.status.textContent = line || "Click on the photo to say which color belongs there.";
      this.status.classList.toggle("failed", failed);
    }
  }

  customElements.define("hint-editor", HintEditor);

  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    const writes = event.target.closest("input:not([type=range]), textarea");
    if (!(event.ctrlKey || event.metaKey) || !"yz".includes(key) || writes) return;
    const editor = event.target.closest(".result")?.querySelector("hint-editor") ?? changed;
    if (!editor?.isConnected || editor.palette.open) return;
    if (key === "z" && !event.shiftKey) editor.undo();
    else editor.redo();
    event.preventDefault();
  });
})();
