// What the training data hold that is most alike: images by path and labels, reports by text.

import { element } from "./answer.js";

const TITLES = { images: "Training images", reports: "Reports" };
const LONGEST = 500; // letters of a report

export function show(kinds) {
  const parts = Object.entries(kinds).flatMap(([kind, rows]) => [
    element("h3", "", TITLES[kind]),
    listed(rows),
    element("p", "hint", rows.length ? `From ${rows[0].source}, licence: ${rows[0].licence}.` : ""),
  ]);
  const none = element("p", "", "This model carries nothing to compare with the question.");
  document.getElementById("evidence").replaceChildren(...(parts.length ? parts : [none]));
}

function listed(rows) {
  const list = element("ol");
  list.replaceChildren(...rows.map((row) => element("li", "", line(row))));
  return list;
}

function line({ similarity, image, labels, report, text }) {
  const near = `similarity ${similarity.toFixed(2)}`;
  if (image !== null) return `${labels.join(", ")} (${image}), ${near}`;
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  return `${report}, ${near}: ${cut}`;
}
