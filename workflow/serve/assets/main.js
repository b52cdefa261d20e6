// The page: an image, a question, an answer.

import * as answers from "./answer.js";
import { get, post, Problem } from "./api.js";
import * as evidence from "./evidence.js";
import * as queue from "./queue.js";
import * as reader from "./reader.js";
import { Viewer } from "./viewer.js";
import * as why from "./why.js";

const $ = (id) => document.getElementById(id);
const SIDES = ["x", "y", "width", "height"];
const state = { models: [], limits: {}, answers: "", file: null, sample: null, turn: 0, answer: null, words: null };

const model = () => state.models.find((one) => one.name === $("model").value);
const reads = (what) => model()?.reads.includes(what) ?? false;

function tell(line) {
  $("problem").hidden = true;
  $("status").textContent = line;
}

function complain(problem) {
  $("status").textContent = "";
  $("problem").textContent = problem instanceof Problem ? problem.message : `The page failed: ${problem}`;
  $("problem").hidden = false;
}

// Run `work`, with the button off meanwhile; show what goes wrong.
async function guarded(work) {
  $("ask").disabled = true;
  try {
    await work();
  } catch (problem) {
    complain(problem);
  } finally {
    $("ask").disabled = false;
  }
}

async function load() {
  const { models, limits, answers: file } = await get("/api/models");
  Object.assign(state, { models, limits, answers: file });
  $("model").replaceChildren(...models.map((one) => new Option(one.name, one.name)));
  const size = Math.round(limits.upload / 2 ** 20);
  $("file-hint").textContent = `PNG, JPEG, TIFF, JPEG 2000, …; up to ${size} MB`;
  chosen();
  await queued();
}

async function queued() {
  const { samples } = await get("/api/queue");
  queue.show(samples, (sample) => guarded(() => taken(sample)));
}

function chosen() {
  const one = model();
  $("picture").hidden = !reads("image");
  $("note-field").hidden = !reads("text");
  $("note").maxLength = state.limits.note;
  const what = reads("text") ? (reads("image") ? "an image and a note" : "a note") : "an image";
  const { method, dataset, encoder, seed } = one.run;
  const name = `${method} on ${dataset}, encoder ${encoder}, seed ${seed}`; // whole where the choice is narrow
  $("model-about").textContent = `${name}: reads ${what}, ranks ${one.labels.length} findings.`;
  if (viewer.image) sized(viewer.region);
  stale();
}

// An answer belongs to its question: it goes when that changes.
function stale() {
  answers.hide();
  why.hide(viewer);
  state.turn += 1;
  state.answer = state.words = viewer.frame = null;
  viewer.draw();
}

function sized(region) {
  const [, , width, height] = region;
  SIDES.forEach((side, i) => ($(`region-${side}`).value = region[i]));
  const { image } = viewer;
  const whole = width === image.width && height === image.height;
  const where = whole ? "Whole image" : `Region at ${region[0]}, ${region[1]} of ${image.width} × ${image.height}`;
  const input = model()?.input;
  const factor = input && Math.min(width / input[0], height / input[1]);
  const change = !input ? "" : factor >= 1 ? `, shrunk ${factor.toFixed(1)} times` : `, enlarged ${(1 / factor).toFixed(1)} times`;
  const model_ = input ? ` The model reads it as ${input[0]} × ${input[1]}${Math.abs(factor - 1) < 0.05 ? "" : change}.` : "";
  $("size").textContent = `${where}: ${width} × ${height} px.${model_}`;
  $("canvas").setAttribute("aria-label", `${image.name}, ${image.width} × ${image.height} pixels. ${where}.`);
}

const viewer = new Viewer(
  $("canvas"),
  (region) => {
    sized(region);
    stale();
  },
  () => guarded(sendAgain),
);

async function send(file) {
  if (file.size > state.limits.upload)
    throw new Problem(`${file.name} is larger than ${state.limits.upload / 2 ** 20} MB. Cut it, or start the server with a larger --upload.`);
  tell(`Reading ${file.name}.`);
  return post("/api/images", { image: file });
}

async function opened(file) {
  stale();
  await shown(await send(file));
  Object.assign(state, { file, sample: null });
}

async function taken(sample) {
  stale();
  tell(`Opening sample ${sample.rank}.`);
  await shown(await post(`/api/queue/${sample.rank}`, {}));
  Object.assign(state, { file: null, sample });
  $("canvas").focus(); // the button that was pressed may have gone with its answer
}

async function shown(image) {
  $("viewer").hidden = false;
  $("choose").textContent = "Choose another image";
  await viewer.show(image);
  tell(`${image.name}, ${image.width} × ${image.height} pixels, is there.`);
}

// A server that was started again, or that read many other images, has lost this one.
async function sendAgain() {
  if (state.file) await send(state.file);
  else await post(`/api/queue/${state.sample.rank}`, {});
}

function fields() {
  const question = { model: $("model").value };
  if (reads("text")) question.note = $("note").value;
  if (reads("image")) {
    if (!viewer.image) throw new Problem("There is no image yet. Choose one, or drop it on the page.");
    question.image_id = viewer.image.image_id;
    if (!viewer.isWhole) question.region = viewer.region.join(",");
  }
  return question;
}

// Ask once more with the image sent again, if the server has lost it.
export async function asked(address, more = {}) {
  try {
    return await post(address, { ...fields(), ...more });
  } catch (problem) {
    if (problem.status !== 404 || !viewer.image) throw problem;
    await sendAgain();
    return post(address, { ...fields(), ...more });
  }
}

// Whether preparation cut edges of the region by a pixel or more.
function isCut({ read, region }) {
  return Boolean(read) && (read[2] < region[2] - 1 || read[3] < region[3] - 1);
}

async function ask() {
  if (!state.models.length) await load();
  tell("The model reads.");
  stale();
  const { turn } = state;
  const answer = await asked("/api/predict");
  if (turn !== state.turn) return tell("The question has changed. Ask again.");
  state.answer = answer;
  tell(answers.show(answer, (row, pressed) => guarded(() => explain(row, pressed))));
  reader.offer(answer, state.answers);
  $("evidence-field").hidden = !answer.model.evidence;
  $("evidence-field").open = false;
  viewer.frame = isCut(answer) ? answer.read : null;
  viewer.draw();
  $("answer-title").focus({ preventScroll: true });
  $("answer").scrollIntoView({ block: "nearest" });
}

async function explain(row, pressed) {
  if (!pressed) return why.hide(viewer);
  const { answer } = state;
  why.title(row);
  $(reads("image") ? "picture" : "why").scrollIntoView({ block: "nearest" });
  tell("Looking for what speaks for it.");
  if (reads("image")) {
    const map = await asked("/api/saliency", { finding: row.label });
    if (answer === state.answer) await why.map(map, viewer);
  }
  if (reads("text")) {
    state.words ??= await asked("/api/words");
    if (answer === state.answer) why.words(state.words, row);
  }
  tell([$("where").textContent, $("words-about").textContent].join(" ").trim());
}

async function save() {
  const line = reader.saved(await asked("/api/answers", reader.fields()));
  await queued();
  tell(line);
}

function dropping() {
  const over = (on) => $("drop").classList.toggle("over", on);
  for (const name of ["dragenter", "dragover"])
    addEventListener(name, (event) => {
      event.preventDefault();
      over(true);
    });
  addEventListener("dragleave", () => over(false));
  addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    const [file] = event.dataTransfer.files;
    if (file) guarded(() => opened(file));
  });
}

function listen() {
  $("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) guarded(() => opened(file));
  });
  $("question").addEventListener("submit", (event) => {
    event.preventDefault();
    guarded(ask);
  });
  $("model").addEventListener("change", chosen);
  $("note").addEventListener("input", stale);
  $("opacity").addEventListener("input", () => viewer.setOpacity($("opacity").value / 100));
  $("reader").addEventListener("submit", (event) => {
    event.preventDefault();
    guarded(save);
  });
  $("evidence-field").addEventListener("toggle", () => {
    if ($("evidence-field").open)
      guarded(async () => evidence.show((await asked("/api/evidence")).kinds));
  });
  $("zoom-in").addEventListener("click", () => viewer.zoomIn());
  $("zoom-out").addEventListener("click", () => viewer.zoomOut());
  $("fit").addEventListener("click", () => viewer.fit());
  $("use-view").addEventListener("click", () => viewer.setRegion(viewer.visible));
  $("use-all").addEventListener("click", () => viewer.setRegion(viewer.whole));
  $("draw").addEventListener("click", () => {
    viewer.setDrawing(!viewer.drawing);
    $("draw").setAttribute("aria-pressed", viewer.drawing);
  });
  for (const side of SIDES)
    $(`region-${side}`).addEventListener("change", () =>
      viewer.setRegion(SIDES.map((one) => Number($(`region-${one}`).value) || 0)),
    );
  dropping();
}

listen();
guarded(load);
