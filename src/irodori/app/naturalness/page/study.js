"use strict";

// A person's session of a study. The server determines the next question. An answer is sent until
// it has arrived, even after this page was closed, and only then the next picture is shown.

const LONGEST_WAIT = 8000; // milliseconds between two attempts
const TIMEOUT = 15000;

const by = (id) => document.getElementById(id);
const sections = ["start", "again", "judging", "end"];
const choices = [by("no"), by("yes")];
const images = document.querySelectorAll("#stage img");
const { steps } = document.body.dataset; // of each person
const [seconds, minimum] = ["seconds", "minimum"].map((key) => Number(document.body.dataset[key]));
const KEPT = `irodori-study-${document.body.dataset.name}`;

let code = null; // of this person
let step = null; // the open question
let ready = false; // whether an answer is possible
let busy = false; // whether a button outside of judging is at work

// The browser's stored session; alternatively, the person enters a code.
const memory = {
  read() {
    try { return JSON.parse(localStorage.getItem(KEPT)) || {}; } catch { return {}; }
  },
  write(kept) {
    try { localStorage.setItem(KEPT, JSON.stringify(kept)); } catch { /* not allowed */ }
  },
};

function show(name) {
  if (by(name).hidden) window.scrollTo(0, 0);
  for (const section of sections) by(section).hidden = section !== name;
  by("yours").hidden = !code || name === "start";
  by("yours").querySelector("strong").textContent = code ? `${code.slice(0, 4)}-${code.slice(4)}` : "";
}

function say(text) {
  if (by("message").textContent !== text) by("message").textContent = text;
}

const wait = (milliseconds) => new Promise((resolve) => {
  setTimeout(resolve, milliseconds);
  window.addEventListener("online", resolve, { once: true });
});

// Return the result of the work, repeating it while there is no connection.
async function insist(work, lost) {
  for (let pause = 500; ; pause = Math.min(2 * pause, LONGEST_WAIT)) {
    try {
      const result = await work();
      say("");
      return result;
    } catch (error) {
      if (error.refused) throw error;
      say(lost);
      await wait(pause);
    }
  }
}

async function ask(path, given) {
  const options = given === undefined ? {} : {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(given),
  };
  const response = await fetch(path, { ...options, signal: AbortSignal.timeout(TIMEOUT) });
  if (response.status >= 500) throw new Error("the server is ill");
  if (!response.ok) throw Object.assign(new Error("refused"), { refused: response.status });
  return response.json();
}

const request = (path, given) =>
  insist(() => ask(path, given), "No connection. Trying again …");
const deliver = (answer) =>
  insist(() => ask("api/answer", answer), "No connection. Your answer is kept and will be sent …");

// A stopwatch of the time that the page was visible since the picture appeared.
const viewing = {
  appeared: 0, since: null, sum: 0,
  begin() {
    this.appeared = performance.now();
    this.sum = 0;
    this.since = document.hidden ? null : this.appeared;
  },
  get seen() { return this.sum + (this.since === null ? 0 : performance.now() - this.since); },
  get latency() { return performance.now() - this.appeared; },
  pause() { this.sum = this.seen; this.since = null; },
  go() { if (this.since === null) this.since = performance.now(); },
};
let gone = true; // whether the picture has been taken away
let watch = null;

document.addEventListener("visibilitychange", () => {
  if (gone) return;
  if (document.hidden) viewing.pause(); else viewing.go();
  look();
});

// Enable answers after the minimum time, and hide the picture after its time.
function look() {
  clearTimeout(watch);
  if (gone || document.hidden) return;
  const seen = viewing.seen / 1000;
  if (seen >= minimum) allow(true);
  if (seen >= seconds) { hide(); return; }
  const next = (seen >= minimum ? seconds : minimum) - seen;
  watch = setTimeout(look, Math.max(1, 1000 * next));
}

function hide() {
  if (gone) return;
  viewing.pause();
  gone = true;
  by("judging").classList.remove("seen");
}

function allow(possible) {
  ready = possible;
  for (const button of choices) button.setAttribute("aria-disabled", String(!possible));
}

const load = (image, { source, width, height }) => insist(() => {
  image.removeAttribute("src"); // so that it is fetched again
  Object.assign(image, { src: source, width, height });
  return image.decode();
}, "No connection. Trying again …");

async function present(next) {
  step = next;
  if (!step.pictures.length) {
    memory.write({ code, over: true });
    show("end");
    by("end").querySelector("h1").focus();
    return;
  }
  memory.write({ code });
  by("gone").textContent = "…";
  show("judging");
  by("place").textContent = `${step.place + 1} of ${steps}`;
  by("progress").value = step.place;
  await Promise.all(step.pictures.map((picture, number) => load(images[number], picture)));
  by("gone").textContent = "Your answer?";
  by("judging").classList.add("seen");
  requestAnimationFrame(() => {
    viewing.begin();
    gone = false;
    look();
  });
  // Prefetch the next picture.
  for (const source of step.following) new Image().src = source;
}

async function choose(choice) {
  if (!ready) return;
  const viewed = Math.round(viewing.seen);
  const latency = Math.round(viewing.latency);
  allow(false);
  hide();
  clearTimeout(watch);
  by("gone").textContent = "…";
  const answer = { code, place: step.place, choice, viewed, latency };
  memory.write({ code, answer });
  await guarded(async () => present(await deliver(answer)));
}

// A request that the server rejects is not repeated.
async function guarded(work) {
  try {
    await work();
  } catch (error) {
    if (error.refused === 404) {
      const kept = memory.read().code;
      code = null;
      memory.write({});
      show("start");
      if (kept) by("begin").focus();
      say(kept
        ? "This study doesn't know the code that was kept here. Please begin anew."
        : "Nobody has this code. Look at it again, or begin anew.");
    } else if (error.refused === 429) {
      say("Many people begin at this moment. Please press the button again in a minute.");
    } else if (error.refused === 409) {
      await present(await request("api/step", { code }));
    } else {
      say("Something went wrong. Please load this page again.");
      throw error;
    }
  }
}

// One action at a time: while an answer waits for a connection, other buttons are ignored.
async function once(button, work) {
  if (busy) return;
  busy = true;
  button.setAttribute("aria-disabled", "true");
  try { await guarded(work); } finally {
    busy = false;
    button.removeAttribute("aria-disabled");
  }
}

async function goOn() {
  const { answer } = memory.read();
  const next = answer && answer.code === code
    ? await deliver(answer)
    : await request("api/step", { code });
  await present(next);
  // Don't focus an answer's button, since it would be pressed more easily.
  by("question").focus({ preventScroll: true });
}

by("begin").addEventListener("click", (event) => once(event.currentTarget, async () => {
  code = (await request("api/begin", {})).code;
  memory.write({ code });
  await goOn();
}));
by("return").addEventListener("submit", (event) => {
  event.preventDefault();
  once(event.submitter || by("begin"), async () => {
    code = by("code").value.toUpperCase().replace(/[^A-Z0-9]/g, "");
    await goOn();
  });
});
by("on").addEventListener("click", (event) => once(event.currentTarget, goOn));
for (const button of document.querySelectorAll(".other")) {
  button.addEventListener("click", () => once(button, async () => {
    // An answer that hasn't arrived still belongs to the first person.
    const { answer } = memory.read();
    try {
      if (answer) await deliver(answer);
    } catch (error) {
      if (!error.refused) throw error;
    }
    code = null;
    memory.write({});
    show("start");
    by("begin").focus();
  }));
}
choices.forEach((button, choice) => button.addEventListener("click", () => choose(choice)));
document.addEventListener("keydown", (event) => {
  if (by("judging").hidden) return;
  if (event.repeat) {
    // A focused button would be pressed repeatedly while the key is held.
    if (event.key === "Enter") event.preventDefault();
    return;
  }
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const choice = { n: 0, ArrowLeft: 0, m: 1, ArrowRight: 1 }[
    event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (choice === undefined) return;
  event.preventDefault();
  choose(choice);
});

const kept = memory.read();
code = kept.code || null;
show(!code ? "start" : kept.over ? "end" : "again");
