// An answer as text and bars. All that comes from files and notes is set as text, never as HTML.

const SHOWN = 5; // findings before "Show all"
const FEW = 3; // findings that may be true, and are named at once

const $ = (id) => document.getElementById(id);

export function element(tag, className, text) {
  const one = document.createElement(tag);
  if (className) one.className = className;
  if (text !== undefined) one.textContent = text;
  return one;
}

// Never 0 or 100: no model is that sure.
export function percent(value) {
  if (value > 0.9995) return "> 99.9 %";
  return value < 0.0005 ? "< 0.1 %" : `${(100 * value).toFixed(1)} %`;
}

export const named = ({ name, label }) => (name === label ? name : `${name} (${label})`);

// explain(row, pressed) is called by the button beside a finding.
export function show(answer, explain) {
  $("answer").hidden = false;
  warnings(answer);
  $("kind").textContent =
    answer.model.task === "multi" ? "Any number of them can be true." : "One of them is true.";
  mayBeTrue(answer);
  findings(answer.findings, explain);
  $("about").textContent = about(answer);
  const [first] = answer.findings;
  return `Answer: most probable is ${named(first)}, ${percent(first.probability)}. ${answer.notice}`;
}

export function hide() {
  $("answer").hidden = true;
}

function warnings(answer) {
  const lines = [...doubts(answer), ...sureness(answer.model), ...reading(answer)];
  $("warnings").replaceChildren(...lines.map((line) => element("li", "", line)));
  $("warnings").hidden = !lines.length;
}

function doubts({ checks, abstains, set }) {
  const lines = checks.filter((check) => check.holds).map(({ title }) => `Look out: ${title}.`);
  if (abstains) lines.push(`The model does not decide: ${set.length || "no"} findings may be true.`);
  return lines;
}

// The conformal set, folded if it is long: it is another list than the ranked one.
function mayBeTrue({ set, findings, coverage, model }) {
  $("set-field").hidden = !set;
  if (!set) return;
  const names = set.map((label) => named(findings.find((row) => row.label === label)));
  $("set-field").open = 0 < set.length && set.length <= FEW;
  $("set-size").textContent = `May be true: ${set.length || "none"} of the ${findings.length} findings`;
  $("set").textContent = names.join(", ");
  $("often").textContent = often(model.task, Math.round(100 * coverage));
}

function often(task, share) {
  const held = task === "multi" ? `${share} % of the true findings` : `the truth in ${share} of 100`;
  return `On images like those of validation, such sets hold ${held}.`;
}

function sureness(model) {
  const lines = [];
  if (model.synthetic) lines.push("Trained on synthetic images: this model knows nothing of tissue.");
  if (!model.calibrated) lines.push("The probabilities are not calibrated.");
  if (model.temperature_at_bound)
    lines.push("The calibration found no optimum: do not trust the probabilities.");
  return lines;
}

function reading(answer) {
  const lines = [];
  if (answer.note_tokens_read)
    lines.push(`The note is long: the model read its first ${answer.note_tokens_read} tokens.`);
  if (answer.unlearnt.length)
    lines.push(`Never seen in training, so it cannot tell: ${answer.unlearnt.map(named).join(", ")}.`);
  return lines;
}

function findings(rows, explain) {
  const list = $("findings");
  list.replaceChildren(...rows.map((row) => finding(row, explain)));
  const rest = [...list.children].slice(SHOWN);
  const more = $("more");
  rest.forEach((row) => (row.hidden = true));
  more.hidden = !rest.length;
  more.textContent = `Show all ${rows.length} findings`;
  more.onclick = () => {
    rest.forEach((row) => (row.hidden = false));
    more.hidden = true;
    rest[0].tabIndex = -1;
    rest[0].focus();
  };
}

function finding(row, explain) {
  const item = element("li");
  const line = element("div", "finding");
  const name = element("span", "name", row.name);
  if (row.name !== row.label) name.append(" ", element("span", "label", row.label));
  const value = element("span", "value", percent(row.probability));
  line.append(element("span", "rank", `${row.rank}`), name, value, why(row, explain));
  const track = element("div", "track");
  const fill = element("div", "fill");
  fill.style.width = `${100 * row.probability}%`;
  track.append(fill);
  item.append(line, track);
  return item;
}

function why(row, explain) {
  const button = element("button", "", "Why");
  button.type = "button";
  button.setAttribute("aria-label", `Why ${row.name}`);
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    const pressed = button.getAttribute("aria-pressed") !== "true";
    for (const other of $("findings").querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", pressed);
    explain(row, pressed);
  });
  return button;
}

function about({ model, region, read, image, seconds }) {
  const { method, dataset, encoder, seed } = model.run;
  const parts = [`${method} on ${dataset}, encoder ${encoder}, seed ${seed}.`];
  if (image) {
    const what = `${region[2]} × ${region[3]} px of ${image.name}`;
    const [width, height] = [read[2], read[3]].map(Math.round);
    const cut = width < region[2] || height < region[3] ? `, the middle ${width} × ${height}` : "";
    parts.push(`It read ${what}${cut}, as ${model.input[0]} × ${model.input[1]}.`);
  }
  if (model.calibrated) parts.push(`Calibrated on validation (temperature ${model.temperature.toFixed(2)}).`);
  parts.push(`${seconds.toFixed(2)} s.`);
  return parts.join(" ");
}
