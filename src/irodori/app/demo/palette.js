// The palette of <hint-editor>: likely colors, a color picker, and an eyedropper for another photo.

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SAMPLE_WIDTH = 480; // pixels of the other photo, at most

const clamp = (value, low, high) => Math.max(low, Math.min(value, high));

/** Return an event's position on an element, as shares of its width and height. */
function placeOf(event, element) {
  const box = element.getBoundingClientRect();
  return {
    x: clamp((event.clientX - box.left) / box.width, 0, 1),
    y: clamp((event.clientY - box.top) / box.height, 0, 1),
  };
}

/** Return a position moved by an arrow key, by a step or (with Shift) `far`; null for other keys. */
function placeAfterKey({ x, y }, event, step, far) {
  if (!KEYS[event.key]) return null;
  const [dx, dy] = KEYS[event.key].map((side) => side * (event.shiftKey ? far : step));
  return { x: clamp(x + dx, 0, 1), y: clamp(y + dy, 0, 1) };
}

class Palette {
  /**
   * @param parent parent element of the dialog.
   * @param on callbacks: choose(color) for each tried color, remove(), closed().
   */
  constructor(parent, on) {
    this.dialog = document.createElement("dialog");
    this.dialog.className = "palette";
    this.dialog.setAttribute("aria-label", "Color of the hint");
    this.dialog.innerHTML = `
      <p>Likely here</p>
      <div class="swatches"></div>
      <label>Any color <input type="color"></label>
      <div class="pipette">
        <div class="sample" hidden>
          <canvas tabindex="0" role="application"
            aria-label="Photo to take a color from: click, or move with the arrow keys"></canvas>
          <span class="cross" aria-hidden="true"></span>
        </div>
        <p class="failed" role="alert"></p>
        <button type="button" class="other">Take it from a photo …</button>
        <input type="file" accept="image/*" hidden>
      </div>
      <div class="ends">
        <button type="button" class="remove">Remove</button>
        <button type="button" class="done">Done</button>
      </div>`;
    parent.append(this.dialog);
    const find = (selector) => this.dialog.querySelector(selector);
    [this.swatches, this.any, this.sample] = [".swatches", "[type=color]", ".sample"].map(find);
    [this.canvas, this.cross, this.failed] = ["canvas", ".cross", ".failed"].map(find);
    this.on = on;
    this.any.addEventListener("input", () => this.choose(this.any.value));
    find(".done").addEventListener("click", () => this.dialog.close());
    find(".remove").addEventListener("click", () => {
      this.dialog.close();
      on.remove();
    });
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // outside of it
    });
    // The event is asynchronous: the palette may be open again for another hint.
    this.dialog.addEventListener("close", () => this.dialog.open || on.closed());
    const file = find("[type=file]");
    find(".other").addEventListener("click", () => file.click());
    file.addEventListener("change", () => {
      if (file.files.length) this.showFile(file.files[0]);
      file.value = ""; // so that the same one can be chosen again
    });
    this.canvas.addEventListener("click", (event) => this.take(placeOf(event, this.canvas)));
    this.canvas.addEventListener("keydown", (event) => {
      const place = placeAfterKey(this.taken, event, 0.02, 0.1);
      if (!place) return;
      event.preventDefault();
      this.take(place);
    });
  }

  /** Open the palette beside the photo or, without enough space, beside the hint.
   *
   * @param color color of the hint; undefined for a new one.
   * @param place position of the hint, as shares of the photo.
   * @param photo bounding box of the photo in the window.
   * @param likely promise of the likely colors from the server.
   */
  async open(color, place, photo, likely) {
    this.likely = likely;
    this.any.value = color ?? "#808080";
    this.swatches.textContent = "…";
    this.dialog.showModal();
    this.makeWay(photo.left + place.x * photo.width, photo.top + place.y * photo.height, photo);
    const answer = await likely;
    const said = answer.ok ? await answer.json() : await answer.text();
    if (likely !== this.likely) return; // it is another hint's by now
    if (answer.ok) this.swatches.replaceChildren(...said.map((...each) => this.swatch(...each)));
    else this.swatches.textContent = said;
  }

  swatch(color, number) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", title: color });
    button.style.background = color;
    button.setAttribute("aria-label", `Likely color ${number + 1}: ${color}`);
    button.addEventListener("click", () => this.choose(color));
    return button;
  }

  makeWay(x, y, photo) {
    const { style } = this.dialog;
    const { width, height } = this.dialog.getBoundingClientRect();
    const fits = (left) => left >= 8 && left + width <= innerWidth - 8;
    const left = [photo.right + 24, photo.left - 24 - width].find(fits);
    const below = y + 24 + height < innerHeight ? y + 24 : y - 24 - height;
    style.left = `${left ?? clamp(x - width / 2, 8, innerWidth - width - 8)}px`;
    style.top = `${clamp(left === undefined ? below : y - height / 2, 8, innerHeight - height - 8)}px`;
    // On phones it is at the bottom; scroll so that it doesn't cover the hint.
    const covered = Math.min(photo.bottom - this.dialog.getBoundingClientRect().top, y - 40);
    if (matchMedia("(max-width: 480px)").matches && covered > 0) scrollBy(0, covered);
  }

  choose(color) {
    this.any.value = color;
    this.on.choose(color);
  }

  // The eyedropper: the other photo stays in the browser.

  async showFile(file) {
    const address = URL.createObjectURL(file);
    await this.show(address);
    URL.revokeObjectURL(address);
  }

  async show(address) {
    const photo = new Image();
    photo.src = address;
    try {
      await photo.decode();
      this.failed.textContent = "";
    } catch {
      this.failed.textContent = "This browser can't show that photo: choose a JPEG or PNG.";
      return;
    }
    const scale = Math.min(1, SAMPLE_WIDTH / photo.naturalWidth);
    this.canvas.width = photo.naturalWidth * scale;
    this.canvas.height = photo.naturalHeight * scale;
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
    this.pen.drawImage(photo, 0, 0, this.canvas.width, this.canvas.height);
    this.sample.hidden = false;
    this.taken = { x: 0.5, y: 0.5 };
  }

  /** Choose the mean color of 5×5 pixels of the other photo. */
  take(place) {
    this.taken = place;
    this.cross.style.cssText = `left: ${100 * place.x}%; top: ${100 * place.y}%`;
    const x = Math.round(place.x * (this.canvas.width - 1));
    const y = Math.round(place.y * (this.canvas.height - 1));
    const sums = [0, 0, 0, 0];
    this.pen.getImageData(x - 2, y - 2, 5, 5).data.forEach((v, i) => (sums[i % 4] += v));
    // Outside of the photo, all four channels are 0.
    const levels = sums.slice(0, 3).map((sum) => Math.round((255 * sum) / Math.max(sums[3], 1)));
    this.choose("#" + levels.map((level) => level.toString(16).padStart(2, "0")).join(""));
  }
}
