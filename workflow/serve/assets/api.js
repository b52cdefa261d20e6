// The server's addresses. Every error is one line to show.

export class Problem extends Error {
  constructor(line, status) {
    super(line);
    this.status = status;
  }
}

const AWAY = "The server does not answer. Start it again and ask once more: what you entered is still here.";

async function asked(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Problem(AWAY, 0);
  }
  if (response.ok) return response;
  const content = await response.json().catch(() => ({}));
  throw new Problem(content.error ?? `The server answered ${response.status}.`, response.status);
}

function form(fields) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null && value !== undefined && value !== "") data.append(name, value);
  }
  return data;
}

export const get = async (address) => (await asked(address)).json();

export const post = async (address, fields) =>
  (await asked(address, { method: "POST", body: form(fields) })).json();

export async function picture(imageId, region, width) {
  const query = new URLSearchParams({ region: region.join(","), width });
  const response = await asked(`/api/images/${imageId}/view?${query}`);
  return createImageBitmap(await response.blob());
}
