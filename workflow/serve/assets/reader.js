// What a reader says of an answer: accepts it, corrects it, adds to it.

import { element, named } from "./answer.js";

const $ = (id) => document.getElementById(id);

export function offer(answer, file) {
  $("reader").hidden = !answer.image;
  const type = answer.model.task === "multi" ? "checkbox" : "radio";
  $("choices").replaceChildren(
    ...answer.findings.map((row) => {
      const input = element("input");
      Object.assign(input, { type, name: "choice", value: row.label });
      input.checked = answer.proposed.includes(row.label);
      const label = element("label");
      label.append(input, element("span", "", named(row)));
      return label;
    }),
  );
  $("other").value = "";
  $("name").value ||= sessionStorage.getItem("reader") ?? "";
  const { region, image } = answer;
  const whole = !image || (region[2] === image.width && region[3] === image.height);
  const part = whole ? "" : " It is about a region: accept-labels takes answers about whole images alone.";
  $("reader-about").textContent =
    `Marked is what the model proposes. Your answer goes to ${file}, with the image's hash; of a note only a hash.${part}`;
}

// The fields of an answer.
export function fields() {
  const chosen = [...$("choices").querySelectorAll("input:checked")].map((one) => one.value);
  const other = $("other").value.trim();
  const radio = $("choices").querySelector("input[type=radio]");
  const labels = other ? [...(radio ? [] : chosen), other] : chosen;
  sessionStorage.setItem("reader", $("name").value);
  return { reader: $("name").value, labels: JSON.stringify(labels) };
}

export function saved({ accepted, removed, added, file, damaged }) {
  const parts = Object.entries({ accepted, removed, added })
    .filter(([, labels]) => labels.length)
    .map(([what, labels]) => `${what} ${labels.join(", ")}`);
  const line = `Saved in ${file}: ${parts.join("; ")}.${damaged ? ` ${damaged}.` : ""}`;
  $("reader-about").textContent = line;
  return line;
}
