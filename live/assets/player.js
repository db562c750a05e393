// Player of a live view: CMAF over WebSocket into Media Source Extensions. One ES module, no build step.
//
//   import { mountPlayer } from "./player.js";
//   const stop = mountPlayer(element, { url, snapshotUrl, texts, onState });
//
// element      an empty block element; gets class `live-player` and the property `player` ({ stats, state, stop }).
// url          WebSocket address, or a function that returns one (for addresses that are valid once).
// snapshotUrl  still picture, used where the browser cannot play the stream; may be missing.
// texts        one language of the catalogue in texts.js.
// onState      called as onState(state, detail) whenever the overlay changes; may be missing.
//
// The wire is described in `message`: text messages are JSON with a `type`, binary ones have a head of nine bytes
// (kind, Unix milliseconds) and then an init segment (1) or a chunk (2 begins with a keyframe, 3 continues).
//
// How it stays at the live edge is in live-media.js. Bounds: one socket, one timer for each purpose; reconnecting backs
// off by BACK_OFF_MS.

import { LiveMedia, canPlay } from "./live-media.js";

const TICK_MS = 250;
const DELAYED_MS = 3000; // no chunk for so long: "delayed" is shown; longer than the longest chunk
const SILENT_MS = 15000; // no message for so long: connect again
const BACK_OFF_MS = [1000, 2000, 5000, 10000];
const STEADY_MS = 10000; // a connection that lasted so long starts the back-off anew
const BUSY_RETRY_MS = 15000;
const HIDDEN_MS = 30000; // page hidden for so long: disconnect, data costs
const SKIPPED_SHOWN_MS = 4000;
const SNAPSHOT_MS = 2000;
const FAILURES_MAX = 3; // decoder failures, each before STEADY_MS, until still pictures are shown

const HEAD_BYTES = 9;
const INIT = 1;

/** Our words for one that somebody else sent, if we have any: not what every object has, such as `constructor`. */
const word = (words, name) => (Object.hasOwn(words, name ?? "") ? words[name] : undefined);

/** A text with its detail, taken as it is. */
const filled = (text, detail) => text.replace("{detail}", () => detail);

/** Mounts a player into an element; returns a function that ends it and empties the element. */
export function mountPlayer(element, options) {
  const player = new Player(element, options);
  element.player = player;
  player.start();
  return () => player.stop();
}

class Player {
  constructor(element, { url, snapshotUrl, texts, onState }) {
    Object.assign(this, { element, url, snapshotUrl, texts, onState });
    this.counts = { bytes: 0, skipped: 0, connects: 0, firstPictureMs: null };
    this.state = null;
    this.camera = null; // last `state` message, unless the camera is up
    this.attempt = 0;
    this.final = false; // ended, busy or stills: do not reconnect by the usual rule
    this.failures = 0;
    this.timers = {};
    this.build();
  }

  // ---- page ----

  build() {
    const make = (tag, name) => Object.assign(document.createElement(tag), { className: `live-player-${name}` });
    this.element.classList.add("live-player");
    this.video = make("video", "video");
    this.video.muted = this.video.playsInline = this.video.autoplay = true;
    this.video.disableRemotePlayback = true; // without it, Safari opens no ManagedMediaSource
    this.video.setAttribute("muted", "");
    this.video.setAttribute("playsinline", "");
    this.still = make("img", "still");
    this.still.alt = "";
    this.still.hidden = true;
    this.overlay = make("div", "overlay");
    this.overlay.setAttribute("role", "status");
    this.badge = make("div", "badge");
    const bar = make("div", "bar"); // beside the picture: cameras write time and name into each corner of it
    bar.append(this.overlay, this.badge);
    this.element.replaceChildren(this.video, this.still, bar);
    this.media = new LiveMedia(this.video, {
      onPicture: () => this.pictureShown(),
      onFail: (reason) => this.failed(reason),
    });
    this.onVisibility = () => this.visibilityChanged();
    // A page that is left may live on in the browser's memory, frozen, with an open socket: data costs.
    this.onPageHide = () => this.pause();
  }

  start() {
    this.startedAt = performance.now();
    document.addEventListener("visibilitychange", this.onVisibility);
    window.addEventListener("pageshow", this.onVisibility);
    window.addEventListener("pagehide", this.onPageHide);
    this.timers.tick = setInterval(() => this.tick(), TICK_MS);
    if (canPlay()) this.connect();
    else this.playStills();
  }

  stop() {
    this.final = true;
    document.removeEventListener("visibilitychange", this.onVisibility);
    window.removeEventListener("pageshow", this.onVisibility);
    window.removeEventListener("pagehide", this.onPageHide);
    Object.values(this.timers).forEach((timer) => clearInterval(timer));
    this.disconnect();
    this.media.close();
    this.element.replaceChildren();
  }

  show(state, detail = "") {
    if (state === this.state && detail === this.detail) return;
    this.state = state;
    this.detail = detail;
    this.element.dataset.state = state;
    const text = this.texts[state] ?? state;
    this.overlay.textContent = filled(text, detail).trim();
    this.onState?.(state, detail);
  }

  /** Shows what is true while the stream plays: nothing wrong, late, or the camera's own trouble. */
  showPlaying() {
    if (this.final || this.paused) return;
    const now = performance.now();
    const link = word(this.texts.linkStates, this.camera?.state); // the way to the camera, not the camera itself
    const sight = word(this.texts.sightStates, this.camera?.state); // what it shows, and it does
    if (link) {
      const detail = this.camera.message ?? "";
      this.show("link", filled(link, word(this.texts.boxReasons, detail) ?? detail));
    } else if (this.camera && !sight) {
      const words = word(this.texts.cameraStates, this.camera.state) ?? this.camera.state;
      const advice = this.camera.advice?.[this.texts.language] ?? this.camera.message;
      this.show("camera", [words, advice].filter(Boolean).join(": "));
    } else if (!this.socket || this.socket.readyState !== WebSocket.OPEN) {
      this.show(this.attempt > 0 ? "reconnecting" : "connecting");
    } else if (this.counts.firstPictureMs === null || !this.chunkAt) {
      this.show("connecting");
    } else if (now - this.chunkAt > DELAYED_MS) {
      this.show("delayed");
    } else if (now < (this.skippedUntil ?? 0)) {
      this.show("skipped", this.skippedText);
    } else if (sight) {
      this.show("noticed", sight);
    } else {
      this.show("live");
    }
  }

  // ---- connection ----

  connect() {
    this.disconnect();
    if (this.final || this.paused) return;
    this.counts.connects += 1;
    this.showPlaying();
    const socket = new WebSocket(typeof this.url === "function" ? this.url() : this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heardAt = this.connectedAt = performance.now();
    this.media.reset();
    socket.onopen = () => socket === this.socket && (this.camera = null); // its state is told again
    socket.onmessage = (event) => socket === this.socket && this.receive(event.data);
    socket.onclose = () => socket === this.socket && this.lost();
  }

  disconnect() {
    const socket = this.socket;
    this.socket = null;
    this.chunkAt = null;
    clearTimeout(this.timers.reconnect);
    socket?.close();
  }

  lost() {
    const lasted = performance.now() - this.connectedAt;
    this.disconnect();
    if (this.final || this.paused) return;
    if (lasted > STEADY_MS) this.attempt = this.failures = 0;
    const pause = BACK_OFF_MS[Math.min(this.attempt, BACK_OFF_MS.length - 1)];
    this.attempt += 1;
    this.showPlaying();
    this.timers.reconnect = setTimeout(() => this.connect(), pause);
  }

  receive(data) {
    this.heardAt = performance.now();
    if (typeof data === "string") {
      this.counts.bytes += data.length;
      return this.receiveText(data);
    }
    this.counts.bytes += data.byteLength;
    if (data.byteLength <= HEAD_BYTES || !this.stream) return;
    const head = new DataView(data);
    const kind = head.getUint8(0);
    const wall = Number(head.getBigUint64(1));
    const payload = new Uint8Array(data, HEAD_BYTES);
    if (kind === INIT) {
      this.media.init(this.stream, payload);
    } else {
      this.chunkAt = this.heardAt;
      this.media.chunk(kind, wall, payload);
    }
  }

  receiveText(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message.type === "stream") {
      this.stream = message;
      if (!canPlay(message.codecs)) this.playStills();
    } else if (message.type === "skipped") {
      this.counts.skipped += 1;
      this.skippedUntil = performance.now() + SKIPPED_SHOWN_MS;
      this.skippedText = this.texts.number(message.seconds, 1);
    } else if (message.type === "state") {
      this.camera = message.state === "up" ? null : message;
      this.showPlaying();
    } else if (message.type === "busy") {
      this.end("busy", String(message.viewers_max));
      this.timers.reconnect = setTimeout(() => this.resume(), BUSY_RETRY_MS);
    } else if (message.type === "ended" && message.reason === "too_slow") {
      this.socket?.close();
    } else if (message.type === "ended") {
      this.end("ended", word(this.texts.endReasons, message.reason) ?? message.reason);
    }
  }

  end(state, detail) {
    this.final = true;
    this.disconnect();
    this.show(state, detail);
  }

  resume() {
    this.final = false;
    this.attempt = 0;
    this.connect();
  }

  visibilityChanged() {
    clearTimeout(this.timers.hidden);
    if (document.hidden) {
      this.timers.hidden = setTimeout(() => this.pause(), HIDDEN_MS);
    } else if (this.paused) {
      this.paused = false;
      if (this.final) this.showStill();
      else this.resume();
    } else {
      this.media.seekLive();
      this.media.play();
    }
  }

  pause() {
    this.paused = true;
    if (this.final) return;
    this.disconnect();
    this.show("paused");
  }

  // ---- still pictures, where the stream cannot be played ----

  playStills() {
    this.media.close();
    this.end("stills", this.snapshotUrl ? "" : this.texts.noStills);
    if (!this.snapshotUrl) return;
    this.video.hidden = true;
    this.still.hidden = false;
    this.still.onload = () => this.pictureShown();
    this.showStill();
    this.timers.still = setInterval(() => this.showStill(), SNAPSHOT_MS);
  }

  showStill() {
    if (this.still.hidden || document.hidden) return;
    const separator = this.snapshotUrl.includes("?") ? "&" : "?";
    this.still.src = `${this.snapshotUrl}${separator}t=${Date.now()}`;
  }

  // ---- once in a while ----

  pictureShown() {
    this.counts.firstPictureMs ??= Math.round(performance.now() - this.startedAt);
  }

  /** The decoder gave up: begin again with a new connection; when it gives up again and again, show stills. */
  failed(reason) {
    console.warn("live player:", reason);
    this.failures += 1;
    if (this.failures >= FAILURES_MAX) this.playStills();
    else this.lost();
  }

  tick() {
    this.media.ease(TICK_MS / 1000);
    if (this.socket && performance.now() - this.heardAt > SILENT_MS) this.lost();
    this.showPlaying();
    const parts = [`${this.texts.number(this.counts.bytes / 1e6, 1)} MB`];
    const latency = this.media.latencyMs();
    if (latency !== null && (this.state === "live" || this.state === "noticed")) {
      parts.push(`${this.texts.number(latency / 1000, 1)} ${this.texts.seconds}`);
    }
    this.badge.textContent = parts.join(" · ");
  }

  /** Figures for tests and diagnosis. */
  get stats() {
    return { ...this.counts, ...this.media.stats, state: this.state, detail: this.detail };
  }
}
