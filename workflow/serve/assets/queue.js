// The samples that wait for a reader, the most informative first.

import { element } from "./answer.js";

const $ = (id) => document.getElementById(id);

// open(sample) is called for a sample that was chosen.
export function show(samples, open) {
  $("queue").hidden = !samples.length;
  const left = samples.filter((sample) => !sample.done);
  $("queue-about").textContent = `${samples.length - left.length} of ${samples.length} answered.`;
  for (const button of [$("next"), $("next-after")]) {
    button.disabled = !left.length;
    button.onclick = () => open(left[0]);
  }
  $("next-after").hidden = !samples.length;
  $("samples").replaceChildren(...samples.map((sample) => row(sample, open)));
}

function row(sample, open) {
  const item = element("li", sample.done ? "done" : "");
  const button = element("button", "", `Sample ${sample.rank}${sample.done ? " (answered)" : ""}`);
  button.type = "button";
  button.addEventListener("click", () => open(sample));
  item.append(button);
  return item;
}
