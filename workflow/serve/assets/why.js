// Why a finding: a map over the image, and the words of the note that speak for it.

import { element, named } from "./answer.js";

const $ = (id) => document.getElementById(id);
const NAMED = 5; // words that are listed
const LEAST = 0.001; // what a word adds, of a probability, to count
const COLOUR = [255, 120, 0]; // of the map: away from the stains' pink and blue

export function hide(viewer) {
  $("why").hidden = true;
  viewer.setLayer(null);
}

export function title(row) {
  $("why").hidden = false;
  $("why-title").textContent = `Why ${named(row)}`;
  for (const id of ["where", "words-about"]) $(id).textContent = "";
  for (const id of ["opacity-field", "note-words", "words-about"]) $(id).hidden = true;
}

export async function map(saliency, viewer) {
  $("where").textContent = saliency.empty
    ? `Nothing in the image speaks for it (${saliency.method}).`
    : `Orange on the image: where the finding comes from (${saliency.method}). A map is a hint, no proof.`;
  $("opacity-field").hidden = saliency.empty;
  const layer = saliency.empty ? null : await coloured(saliency.png);
  viewer.setLayer(layer, saliency.frame, $("opacity").value / 100);
}

async function coloured(png) {
  const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
  const grey = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(grey.width, grey.height);
  const pen = canvas.getContext("2d");
  pen.drawImage(grey, 0, 0);
  const pixels = pen.getImageData(0, 0, grey.width, grey.height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    const value = pixels.data[i];
    pixels.data.set([...COLOUR, value], i);
  }
  pen.putImageData(pixels, 0, 0);
  return createImageBitmap(canvas);
}

// The note with the words that raise the finding marked, the strongest most.
export function words({ note, words: rows }, { label }) {
  const most = Math.max(...rows.map((row) => row.adds[label]));
  const letters = Array.from(note); // the server counts code points
  const parts = [];
  let end = 0;
  for (const row of rows) {
    parts.push(letters.slice(end, row.start).join(""));
    const share = row.adds[label] > LEAST ? row.adds[label] / most : 0;
    parts.push(marked(letters.slice(row.start, row.end).join(""), share));
    end = row.end;
  }
  parts.push(letters.slice(end).join(""));
  $("note-words").replaceChildren(...parts);
  $("note-words").hidden = false;
  $("words-about").textContent = listed(rows, letters, label);
  $("words-about").hidden = false;
}

function marked(word, share) {
  if (share < 0.05) return word;
  const mark = element("mark", "", word);
  mark.style.setProperty("--share", `${Math.round(100 * share)}%`);
  return mark;
}

function listed(rows, letters, label) {
  const strongest = rows.filter((row) => row.adds[label] > LEAST);
  strongest.sort((a, b) => b.adds[label] - a.adds[label]);
  if (!strongest.length) return "No word of the note raises it.";
  const shown = strongest.slice(0, NAMED).map(
    (row) => `${letters.slice(row.start, row.end).join("")} +${(100 * row.adds[label]).toFixed(1)}`,
  );
  return `Points that it loses without the word: ${shown.join(", ")}.`;
}
