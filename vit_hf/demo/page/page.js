// What happens on the page: pictures come in, answers come back, and what goes wrong is said.

import { bytesOf, decode, draw, NoPicture } from "./pixels.js";

const at = (id) => document.getElementById(id);
const [stage, canvas, headline, labels, details] = ["stage", "picture", "headline", "labels", "details"].map(at);
const SHOWN = 5;

let settings = null;
let knowsSettings;
const settingsKnown = new Promise((resolve) => (knowsSettings = resolve)); // pictures may come before
let asked = 0; // the number of the last question; answers to earlier ones come too late
let shown = null; // { bitmap, name, heat }
let waiting = null; // the question that was asked before the model was there
let isReady = false;
let failure = null; // why the model did not load

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.onmessage = ({ data }) => heard[data.kind](data);
worker.onerror = (event) => cannotLoad(event.message || "its program is not there");

const heard = {
  ready({ seconds, threads }) {
    isReady = true;
    const on = threads > 1 ? `${threads} threads` : "one thread";
    at("status").textContent = `The model is here: ${megabytes(settings.model_bytes)}, loaded in ${seconds.toFixed(1)} s, on ${on}.`;
    if (waiting) worker.postMessage(waiting, [waiting.bytes.buffer]);
    waiting = null;
  },

  answer({ id, probabilities, heat, seconds }) {
    if (id !== asked) return;
    shown.heat = heat ?? null;
    stage.classList.remove("busy");
    const shrunk = shown.shrunk ? " The picture was shrunk to fit into memory." : "";
    details.textContent = "";
    say(Array.from(probabilities));
    details.textContent += `Answered in ${seconds.toFixed(2)} s.${shrunk}`;
    at("heat-controls").hidden = !heat;
    redraw();
    document.body.dataset.answered = String(id);
  },

  failed({ asked: what, id, reason }) {
    if (what === "load") cannotLoad(reason);
    else if (id === asked) {
      stage.classList.remove("busy");
      complain(`The model could not answer (${reason}). Reload the page; a smaller picture may do.`);
      headline.textContent = "No answer";
    }
  },
};

function cannotLoad(reason) {
  failure = `The model does not load (${reason}). Reload the page; if that does not help, its folder is not whole.`;
  at("status").textContent = "There is no model.";
  stage.classList.remove("busy");
  complain(failure);
}

function complain(sentence) {
  at("trouble").textContent = sentence;
  at("trouble").hidden = false;
}

// probabilities: of each label; of a regression the number of each, in their order
function say(probabilities) {
  headline.classList.remove("quiet");
  if (settings.are_numbers) return sayNumbers(probabilities);
  const order = probabilities.map((share, label) => [share, label]).sort((one, other) => other[0] - one[0]);
  if (settings.thresholds) return sayThose(order);
  headline.textContent = `${name(order[0][1])}, ${percent(order[0][0])}`;
  labels.replaceChildren(...order.slice(0, SHOWN).map(([share, label]) => rowOf(name(label), percent(share), share)));
}

// Of several labels. order: of [probability, label], most probable first
function sayThose(order) {
  const has = ([share, label]) => share >= settings.thresholds[label];
  const names = order.filter(has).map(([, label]) => name(label));
  headline.textContent = names.join(", ") || "None of the labels";
  const shown = order.filter((one, place) => place < SHOWN || has(one));
  labels.replaceChildren(
    ...shown.map(([share, label]) => {
      const row = rowOf(name(label), percent(share), share);
      row.classList.toggle("below", !has([share, label]));
      return row;
    }),
  );
  details.textContent = "Each label has a probability of its own; those that reach their thresholds are named above. ";
}

function sayNumbers(numbers) {
  const several = numbers.length > 1;
  headline.textContent = several ? `${numbers.length} numbers` : `${name(0)}: ${digits(numbers[0])}`;
  const rows = several ? numbers.map((number, label) => rowOf(name(label), digits(number), null)) : []; // one is said
  labels.replaceChildren(...rows);
}

// share: from 0 to 1, or null of a number that has no bar
function rowOf(label, said, share) {
  const row = document.createElement("li");
  const [text, number] = ["name", "share"].map((kind) => {
    const part = document.createElement("span");
    part.className = kind;
    return part;
  });
  text.textContent = label;
  number.textContent = said;
  if (share !== null) {
    const bar = document.createElement("span");
    bar.className = "bar";
    bar.style.width = `${100 * share}%`;
    row.dataset.probability = String(share);
    row.append(bar);
  }
  row.append(text, number);
  return row;
}

const name = (label) => settings.labels[label] ?? `label ${label}`;

const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 2 : 1)}%`;
// Four digits, and of more all that are whole.
const digits = (number) => {
  const whole = Math.trunc(Math.abs(number)).toString().length;
  return Number(number.toPrecision(Math.min(15, Math.max(4, whole)))).toString();
};
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

function redraw() {
  draw(canvas, shown.bitmap, shown.heat, at("heat").value / 100, settings);
  canvas.setAttribute("aria-label", `${shown.name}${shown.heat ? ", with the heat map over it" : ""}`);
}

// file: a Blob; name: what it is called in sentences
async function take(file, name) {
  const id = ++asked;
  at("trouble").hidden = failure === null;
  at("trouble").textContent = failure ?? "";
  await settingsKnown;
  let picture;
  try {
    picture = await decode(file);
  } catch (error) {
    if (id !== asked) return;
    const reason = error instanceof NoPicture ? "is no picture that this browser can read" : `cannot be read (${error.message})`;
    complain(`${name} ${reason}. Take a JPEG, PNG, WebP or GIF.`);
    return;
  }
  if (id !== asked) return;
  shown = { ...picture, name, heat: null };
  stage.classList.remove("empty");
  at("invitation").hidden = true;
  canvas.hidden = false;
  at("heat-controls").hidden = true;
  labels.replaceChildren();
  details.textContent = "";
  headline.className = "headline quiet";
  redraw();
  if (failure !== null) {
    headline.textContent = "No answer";
    return;
  }
  headline.textContent = isReady ? "Thinking ..." : "The model is on its way ...";
  stage.classList.add("busy");
  await new Promise((seen) => setTimeout(seen)); // the picture is seen before its pixels are read
  let bytes;
  try {
    bytes = bytesOf(picture.bitmap, settings.channels);
  } catch (error) {
    stage.classList.remove("busy");
    complain(`${name} cannot be read (${error.message}); a smaller picture may do.`);
    headline.textContent = "No answer";
    return;
  }
  const { width, height } = picture.bitmap;
  const question = { kind: "ask", id, bytes, height, width, channels: settings.channels };
  if (isReady) worker.postMessage(question, [bytes.buffer]);
  else waiting = question;
}

function takeFirst(items) {
  const files = [...items];
  const file = files.find((one) => one.type.startsWith("image/")) ?? files[0];
  if (file) take(file, file.name || "The picture");
}

at("choose").onclick = () => at("file").click();
at("file").onchange = (event) => {
  takeFirst(event.target.files);
  event.target.value = ""; // the same file may be chosen again
};
at("heat").oninput = () => shown && redraw();

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  stage.classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget ?? stage.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  stage.classList.remove("over");
  if (event.dataTransfer.files.length) takeFirst(event.dataTransfer.files);
  else complain("That was no file. Save the picture first, or copy and paste it.");
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) takeFirst(event.clipboardData.files);
  else complain("There is no picture on the clipboard.");
});

const [viewfinder, video] = ["viewfinder", "video"].map(at);
if (!navigator.mediaDevices) {
  at("camera").disabled = true;
  at("camera").title = "Browsers give cameras only to pages that come by https or from localhost.";
}
at("camera").onclick = async () => {
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    viewfinder.showModal();
  } catch (error) {
    complain(`There is no picture of a camera (${error.message}). Allow it in the browser, or choose a file.`);
  }
};
at("shoot").onclick = async () => {
  const still = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  still.getContext("2d").drawImage(video, 0, 0);
  viewfinder.close();
  take(await still.convertToBlob(), "The picture of the camera");
};
at("close").onclick = () => viewfinder.close();
viewfinder.onclose = () => {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
};

function offer(examples) {
  at("example-list").append(
    ...examples.map(({ file, name }) => {
      const [item, button, image] = ["li", "button", "img"].map((kind) => document.createElement(kind));
      button.type = "button";
      image.src = file;
      image.alt = name;
      image.onload = () => image.classList.toggle("pixelated", image.naturalWidth < 64);
      button.onclick = async () => {
        try {
          const answer = await fetch(file);
          if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
          take(await answer.blob(), name);
        } catch (error) {
          complain(`${name} does not come (${error.message}).`);
        }
      };
      button.append(image);
      item.append(button);
      return item;
    }),
  );
  at("examples").hidden = !examples.length;
}

at("unstarted").hidden = true;
at("status").textContent = "The model is on its way ...";
try {
  const answer = await fetch("settings.json");
  if (!answer.ok) throw new Error(`the server answered ${answer.status} for settings.json`);
  settings = await answer.json();
  knowsSettings();
  document.title = at("title").textContent = settings.title;
  at("main").hidden = false;
  offer(settings.examples);
  worker.postMessage({ kind: "load", model: settings.model });
} catch (error) {
  cannotLoad(error.message);
}
