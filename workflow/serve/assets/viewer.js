// The image: pan, zoom, and the region that the model reads. Pixels come from the server, in the
// sharpness that the screen needs, so that what is shown is what the model's own reader decoded.

import { picture } from "./api.js";

const OVERVIEW = 1600; // pixels of the longer side of the picture that is always there
const STEP = 1.4; // zoom of a key or a button
const LARGEST = 40; // screen pixels of an image pixel
const PAUSE = 150; // ms without a move before a sharper picture is asked for

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export class Viewer {
  // changed(region) is called when the region is another; gone() if the server lost the image.
  constructor(canvas, changed, gone) {
    Object.assign(this, { canvas, changed, gone });
    this.pointers = new Map();
    this.listen();
    new ResizeObserver(() => this.resized()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async show(image) {
    const whole = [0, 0, image.width, image.height];
    const overview = await picture(image.image_id, whole, OVERVIEW);
    Object.assign(this, { image, overview, whole, detail: null, layer: null, frame: null });
    this.canvas.style.aspectRatio = image.width / image.height;
    this.setRegion(whole);
    this.resized();
    this.fit();
  }

  // A picture over a frame of the image (x, y, width, height), and how opaque it is.
  setLayer(bitmap, frame, opacity) {
    this.layer = bitmap && { bitmap, frame, opacity };
    this.draw();
  }

  setOpacity(opacity) {
    if (this.layer) this.layer.opacity = opacity;
    this.draw();
  }

  setRegion(region) {
    const [x, y] = [0, 1].map((i) => clamp(Math.round(region[i]), 0, this.whole[i + 2] - 1));
    const width = clamp(Math.round(region[2]), 1, this.whole[2] - x);
    const height = clamp(Math.round(region[3]), 1, this.whole[3] - y);
    this.region = [x, y, width, height];
    this.changed(this.region);
    this.draw();
  }

  get isWhole() {
    return this.region.every((value, i) => value === this.whole[i]);
  }

  // What the canvas shows of the image.
  get visible() {
    const { width, height } = this.box;
    const [left, top] = this.toImage(0, 0).map((v, i) => clamp(Math.floor(v), 0, this.whole[i + 2] - 1));
    const ends = this.toImage(width, height);
    const [right, bottom] = ends.map((v, i) => clamp(Math.ceil(v), 1, this.whole[i + 2]));
    return [left, top, Math.max(1, right - left), Math.max(1, bottom - top)];
  }

  get box() {
    return { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
  }

  get fitted() {
    return Math.min(this.box.width / this.whole[2], this.box.height / this.whole[3], LARGEST);
  }

  fit() {
    this.scale = this.fitted;
    this.centre = [this.whole[2] / 2, this.whole[3] / 2];
    this.moved();
  }

  zoom(factor, at = [this.box.width / 2, this.box.height / 2]) {
    const before = this.toImage(...at);
    this.scale = clamp(this.scale * factor, this.fitted, Math.max(LARGEST, this.fitted));
    const after = this.toImage(...at);
    this.pan(before[0] - after[0], before[1] - after[1]);
  }

  pan(across, down) {
    this.centre = [this.centre[0] + across, this.centre[1] + down].map((value, i) => {
      const half = (i ? this.box.height : this.box.width) / this.scale / 2;
      const length = this.whole[i + 2];
      return half * 2 >= length ? length / 2 : clamp(value, half, length - half);
    });
    this.moved();
  }

  moved() {
    this.canvas.classList.toggle("at-fit", this.scale <= this.fitted * 1.01);
    this.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.sharpen(), PAUSE);
  }

  async sharpen() {
    const shown = this.overview.width / this.whole[2];
    const wanted = this.scale * devicePixelRatio;
    if (!this.image || shown >= 1 || wanted <= shown * 1.2) return;
    const { image, visible } = this;
    const width = Math.ceil(Math.max(visible[2], visible[3]) * Math.min(wanted, 1));
    try {
      const bitmap = await picture(image.image_id, visible, clamp(width, 1, 2048));
      if (image === this.image) this.detail = { bitmap, frame: visible };
      this.draw();
    } catch (problem) {
      if (problem.status === 404) this.gone();
    }
  }

  toImage(x, y) {
    const { width, height } = this.box;
    return [this.centre[0] + (x - width / 2) / this.scale, this.centre[1] + (y - height / 2) / this.scale];
  }

  toScreen([x, y, width, height]) {
    const box = this.box;
    const left = (x - this.centre[0]) * this.scale + box.width / 2;
    const top = (y - this.centre[1]) * this.scale + box.height / 2;
    return [left, top, width * this.scale, height * this.scale];
  }

  resized() {
    const { width, height } = this.box;
    this.canvas.width = Math.round(width * devicePixelRatio);
    this.canvas.height = Math.round(height * devicePixelRatio);
    if (this.image && width) this.scale = Math.max(this.scale || 0, this.fitted);
    this.draw();
  }

  draw() {
    if (!this.image || !this.centre) return;
    const pen = this.canvas.getContext("2d");
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    pen.clearRect(0, 0, this.box.width, this.box.height);
    pen.imageSmoothingEnabled = this.scale < 3;
    pen.drawImage(this.overview, ...this.toScreen(this.whole));
    if (this.detail) pen.drawImage(this.detail.bitmap, ...this.toScreen(this.detail.frame));
    if (this.layer) this.drawLayer(pen);
    if (!this.isWhole) this.drawRegion(pen);
    if (this.frame) this.drawFrame(pen);
  }

  drawLayer(pen) {
    pen.save();
    pen.imageSmoothingEnabled = true;
    pen.globalAlpha = this.layer.opacity;
    pen.drawImage(this.layer.bitmap, ...this.toScreen(this.layer.frame));
    pen.restore();
  }

  drawRegion(pen) {
    const [x, y, width, height] = this.toScreen(this.region);
    pen.save();
    pen.fillStyle = "rgba(20, 24, 26, 0.45)";
    pen.beginPath();
    pen.rect(...this.toScreen(this.whole));
    pen.rect(x, y, width, height);
    pen.fill("evenodd");
    pen.lineWidth = 2;
    pen.strokeStyle = "#ffffff";
    pen.strokeRect(x - 1, y - 1, width + 2, height + 2);
    pen.strokeStyle = "#1b6670";
    pen.strokeRect(x - 3, y - 3, width + 6, height + 6);
    pen.restore();
  }

  // The part that reached the model, where preparation cut the edges.
  drawFrame(pen) {
    pen.save();
    pen.setLineDash([6, 4]);
    pen.lineWidth = 1.5;
    pen.strokeStyle = "#1b6670";
    pen.strokeRect(...this.toScreen(this.frame));
    pen.restore();
  }

  setDrawing(drawing) {
    this.drawing = drawing;
    this.canvas.classList.toggle("drawing", drawing);
  }

  listen() {
    const on = (name, act, options) =>
      this.canvas.addEventListener(name, (event) => this.image && act(event), options);
    on("pointerdown", (event) => this.pressed(event));
    on("pointermove", (event) => this.dragged(event));
    for (const name of ["pointerup", "pointercancel"]) on(name, (event) => this.released(event));
    on("wheel", (event) => this.wheeled(event), { passive: false });
    on("dblclick", (event) => this.zoom(2, [event.offsetX, event.offsetY]));
    on("keydown", (event) => this.keyed(event));
  }

  pressed(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.corner = this.drawing ? this.toImage(event.offsetX, event.offsetY) : null;
  }

  dragged(event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    const now = [event.offsetX, event.offsetY];
    if (this.pointers.size === 2) this.pinched(event.pointerId, last, now);
    else if (this.corner) this.drawTo(now);
    else this.pan((last[0] - now[0]) / this.scale, (last[1] - now[1]) / this.scale);
    this.pointers.set(event.pointerId, now);
  }

  pinched(moving, last, now) {
    const [, other] = [...this.pointers].find(([id]) => id !== moving);
    const apart = ([x, y]) => Math.hypot(x - other[0], y - other[1]);
    this.zoom(apart(now) / Math.max(1, apart(last)), other);
  }

  drawTo(now) {
    const end = this.toImage(...now);
    const low = [0, 1].map((i) => clamp(Math.min(this.corner[i], end[i]), 0, this.whole[i + 2] - 1));
    const high = [0, 1].map((i) => clamp(Math.max(this.corner[i], end[i]), 1, this.whole[i + 2]));
    this.setRegion([...low, high[0] - low[0], high[1] - low[1]]);
  }

  released(event) {
    this.pointers.delete(event.pointerId);
    this.corner = null;
  }

  // Before a click the wheel scrolls the page, as it does elsewhere.
  wheeled(event) {
    if (document.activeElement !== this.canvas && !event.ctrlKey) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 400), [event.offsetX, event.offsetY]);
  }

  keyed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const far = 60 / this.scale;
    const acts = {
      ArrowLeft: () => this.pan(-far, 0),
      ArrowRight: () => this.pan(far, 0),
      ArrowUp: () => this.pan(0, -far),
      ArrowDown: () => this.pan(0, far),
      "+": () => this.zoom(STEP),
      "=": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      0: () => this.fit(),
      v: () => this.setRegion(this.visible),
    };
    const act = acts[event.key] ?? acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  zoomIn() {
    this.zoom(STEP);
  }

  zoomOut() {
    this.zoom(1 / STEP);
  }
}
