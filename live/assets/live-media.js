// From chunks to a picture near the live edge: queue, source buffer, speed and seeks. Used by player.js only.
//
// Distance to the live edge. The *reserve* is how much is left to play just before a chunk arrives; unlike the distance
// to the end of the buffer it does not depend on how long chunks are. Its smallest value over the last second is held
// at RESERVE_S: the video plays slightly faster or slower, and seeks when there is more than LATE_SEEK_S too much. When
// it ran dry because a chunk came late, it is allowed more reserve, which is taken back slowly. So chunks of 100 ms play
// 120 to 220 ms behind the end of the buffer, chunks of 2 s at worst 2.1 s, and as soon as chunks become short the
// first one of them already leads to a seek.
//
// Bounds: QUEUE_BYTES_MAX waiting for the source buffer, KEEP_BEHIND_S (and once more) of played media.

const RESERVE_S = 0.12; // left to play when the next chunk arrives
const RESERVE_FRAMES = 2; // and at least so many frames, for cameras of few frames a second
const RESERVE_STEP_S = 0.06; // added when a chunk came too late
const RESERVE_MAX_S = 0.8;
const RESERVE_EASE = 0.003; // of it taken back each second, seconds
const RESERVE_WINDOW_MS = 1000;
const LATENESS_S = 0.02; // a chunk that comes later than that is late; above RESERVE_MAX_S it is an interruption
const NEAR_S = 0.05; // further from the reserve: play at 1 ± NUDGE until the reserve is met
const NUDGE = 0.05;
const FAR_S = 0.3; // further above the reserve: play at 1 + HURRY; while it settles, seek
const HURRY = 0.1;
const LATE_SEEK_S = 1.0; // further above the reserve: seek
const SETTLE_MS = 1500; // after the start, and after chunks have become short
const SEEK_PAUSE_MS = 400; // between two seeks
const KEEP_BEHIND_S = 8; // played media that is kept; more is removed
const QUEUE_BYTES_MAX = 16 * 1024 * 1024; // beyond it, chunks are dropped up to the next keyframe

const INIT = 1;
const KEYFRAME = 2;

/** Plays into a video element. Calls onPicture() for the first picture and onFail(reason) when it has given up. */
export class LiveMedia {
  constructor(video, { onPicture, onFail }) {
    Object.assign(this, { video, onPicture, onFail });
    this.counts = { dropped: 0, stalls: 0, seeks: 0 };
    this.extraReserve = 0;
    this.chunkS = 0; // length of the newest chunk
    this.appendedAt = this.soughtAt = this.settlesAt = 0;
    this.reset();
    video.addEventListener("waiting", () => this.ranDry());
    video.addEventListener("error", () => this.media && this.fail(video.error?.message ?? "decode"));
  }

  /** Forgets what waits; for a new connection. The last picture stays. */
  reset() {
    this.queue = [];
    this.queuedBytes = 0;
    this.needsKeyframe = true;
  }

  /** Takes an init segment of the stream that was described last. */
  init(stream, payload) {
    this.enqueue({ kind: INIT, payload, stream });
  }

  /** Takes a chunk; `wall` is the time of its first frame, Unix milliseconds, 0 when unknown. */
  chunk(kind, wall, payload) {
    if (kind === KEYFRAME) this.needsKeyframe = false;
    if (this.queuedBytes + payload.byteLength > QUEUE_BYTES_MAX) this.needsKeyframe = true;
    if (this.needsKeyframe) this.counts.dropped += 1;
    else this.enqueue({ kind, wall, payload });
  }

  /** To be called each `seconds`: takes back a part of the reserve that stalls have added. */
  ease(seconds) {
    this.extraReserve = Math.max(0, this.extraReserve - RESERVE_EASE * seconds);
  }

  fail(reason) {
    this.close();
    this.reset();
    this.onFail(reason);
  }

  open(codecs) {
    this.close();
    const media = new (mediaSourceClass())();
    this.media = media;
    this.objectUrl = URL.createObjectURL(media);
    this.video.src = this.objectUrl;
    media.addEventListener("sourceopen", () => {
      if (media !== this.media || this.buffer) return;
      try {
        this.buffer = media.addSourceBuffer(mime(codecs));
      } catch (error) {
        return this.fail(error.message);
      }
      this.codecs = codecs;
      this.buffer.addEventListener("updateend", () => this.updated());
      this.pump();
    });
  }

  close() {
    this.media = this.buffer = this.appending = this.wallOffset = null;
    this.placed = false;
    if (!this.objectUrl) return;
    this.video.removeAttribute("src");
    this.video.load();
    URL.revokeObjectURL(this.objectUrl);
    this.objectUrl = null;
  }

  enqueue(item) {
    this.queue.push(item);
    this.queuedBytes += item.payload.byteLength;
    this.pump();
  }

  dequeue(count) {
    const items = this.queue.splice(0, count);
    for (const item of items) this.queuedBytes -= item.payload.byteLength;
    return items;
  }

  pump() {
    const next = this.queue[0];
    if (!next) return;
    if (!this.media) {
      if (next.kind === INIT) this.open(next.stream.codecs);
      else this.dequeue(1);
      return;
    }
    if (!this.buffer || this.buffer.updating || this.media.readyState !== "open") return;
    try {
      if (next.kind === INIT) this.appendInit(next);
      else this.appendChunks();
    } catch (error) {
      if (error.name === "QuotaExceededError") this.makeRoom();
      else this.fail(error.message);
    }
  }

  /** A new init segment starts a new time line: what is buffered goes first, then the codec may change. */
  appendInit(item) {
    if (this.buffer.buffered.length > 0) {
      this.buffer.remove(0, Infinity);
      return;
    }
    if (item.stream.codecs !== this.codecs) {
      this.buffer.changeType(mime(item.stream.codecs));
      this.codecs = item.stream.codecs;
    }
    this.fps = item.stream.fps;
    this.placed = false;
    this.wallOffset = null;
    this.reserves = [];
    this.appending = { chunks: 0, end: null };
    this.buffer.appendBuffer(item.payload);
    this.dequeue(1);
  }

  /** Appends all chunks that wait at once. */
  appendChunks() {
    let count = this.queue.findIndex((item) => item.kind === INIT);
    if (count < 0) count = this.queue.length;
    const items = this.queue.slice(0, count);
    const end = this.liveEnd();
    this.noteReserve(end);
    this.buffer.appendBuffer(items.length === 1 ? items[0].payload : concat(items.map((item) => item.payload)));
    const now = performance.now();
    this.appending = { chunks: count, end, wall: items[0].wall };
    this.waitedS = (now - this.appendedAt) / 1000;
    this.appendedAt = now;
    this.quota = 0;
    this.dequeue(count);
  }

  updated() {
    const done = this.appending;
    this.appending = null;
    const ranges = this.buffer?.buffered;
    if (done?.chunks > 0 && ranges.length > 0) {
      const end = this.liveEnd();
      const start = done.end === null || done.end > end ? ranges.start(ranges.length - 1) : done.end;
      const before = this.chunkS;
      this.chunkS = Math.max(0, end - start) / done.chunks;
      if (this.chunkS < before / 2) this.settlesAt = performance.now() + SETTLE_MS; // chunks have become short
      if (done.wall > 0) this.wallOffset = done.wall - start * 1000;
      this.noteLateness();
      if (!this.placed) this.place(ranges.start(ranges.length - 1));
    }
    if (this.queue.length > 0) this.pump();
    else this.follow();
    this.trim();
  }

  trim() {
    if (!this.buffer || this.buffer.updating || this.buffer.buffered.length === 0) return;
    const keepFrom = this.video.currentTime - KEEP_BEHIND_S;
    if (this.buffer.buffered.start(0) < keepFrom - KEEP_BEHIND_S) this.buffer.remove(0, keepFrom);
  }

  /** The buffer is full: first what was played goes, then everything, and the stream goes on at a keyframe. */
  makeRoom() {
    this.quota = (this.quota ?? 0) + 1;
    const played = this.video.currentTime - 1;
    const ranges = this.buffer.buffered;
    if (this.quota === 1 && ranges.length > 0 && ranges.start(0) < played) {
      this.buffer.remove(0, played);
      return;
    }
    const keyframe = this.queue.findIndex((item) => item.kind === KEYFRAME && item !== this.queue[0]);
    this.counts.dropped += this.dequeue(keyframe < 0 ? this.queue.length : keyframe).length;
    this.needsKeyframe = keyframe < 0;
    this.placed = false;
    this.buffer.remove(0, Infinity);
  }

  liveEnd() {
    const ranges = this.buffer?.buffered;
    return ranges?.length > 0 ? ranges.end(ranges.length - 1) : null;
  }

  reserveS() {
    const frames = this.fps > 0 ? RESERVE_FRAMES / this.fps : 0;
    return Math.min(RESERVE_MAX_S, Math.max(RESERVE_S, frames) + this.extraReserve);
  }

  /** Begins to play with the first picture there is; the first seek to the live edge comes soon after. */
  place(start) {
    this.placed = true;
    this.settlesAt = performance.now() + SETTLE_MS;
    this.video.currentTime = start;
    this.soughtAt = performance.now();
    this.reserves = [];
    this.play();
    this.video.requestVideoFrameCallback?.(() => this.onPicture());
    if (!this.video.requestVideoFrameCallback) this.video.addEventListener("loadeddata", () => this.onPicture());
  }

  play() {
    this.video.play()?.catch((error) => {
      if (error.name === "NotAllowedError") this.video.controls = true; // power saving: the viewer must press play
    });
  }

  noteReserve(end) {
    if (end === null || !this.placed) return;
    const now = performance.now();
    this.reserves.push({ at: now, s: end - this.video.currentTime });
    while (this.reserves[0].at < now - RESERVE_WINDOW_MS && this.reserves.length > 1) this.reserves.shift();
  }

  /** Decides after each append whether to seek, to play faster or slower, or just to play. */
  follow() {
    const end = this.liveEnd();
    if (end === null || !this.placed || this.video.seeking || this.reserves.length === 0) return;
    const late = end - this.video.currentTime - this.chunkS - this.reserveS();
    const ranges = this.buffer.buffered;
    const inGap = this.video.currentTime < ranges.start(ranges.length - 1);
    if (inGap || late > (performance.now() < this.settlesAt ? FAR_S : LATE_SEEK_S)) {
      this.seekLive();
    } else {
      this.nudge(Math.min(...this.reserves.map((reserve) => reserve.s)) - this.reserveS());
    }
    if (this.video.paused && !document.hidden) this.play();
  }

  /** Sets the speed, by how much more than the wanted reserve there is. */
  nudge(excess) {
    const rate = this.video.playbackRate;
    if (excess > FAR_S) this.video.playbackRate = 1 + HURRY;
    else if (excess > NEAR_S || (rate > 1 && excess > 0)) this.video.playbackRate = 1 + NUDGE;
    else if (excess < -NEAR_S || (rate < 1 && excess < 0)) this.video.playbackRate = 1 - NUDGE;
    else this.video.playbackRate = 1;
  }

  seekLive() {
    const end = this.liveEnd();
    const now = performance.now();
    if (end === null || now - this.soughtAt < SEEK_PAUSE_MS) return;
    const ranges = this.buffer.buffered;
    this.soughtAt = now;
    this.counts.seeks += 1;
    this.reserves = [];
    this.video.playbackRate = 1;
    this.video.currentTime = Math.max(ranges.start(ranges.length - 1), end - this.reserveS() - this.chunkS);
  }

  ranDry() {
    if (!this.placed || performance.now() - this.soughtAt < SEEK_PAUSE_MS) return;
    this.counts.stalls += 1;
    this.dry = true;
  }

  /** Allows more reserve when the video ran dry since a chunk came late; not for a silent camera or network. */
  noteLateness() {
    const lateness = this.waitedS - this.chunkS;
    if (this.dry && lateness > LATENESS_S && lateness < RESERVE_MAX_S) {
      this.extraReserve = Math.min(RESERVE_MAX_S, this.extraReserve + RESERVE_STEP_S);
    }
    this.dry = false;
  }

  /** Age of the picture by the box's clock, milliseconds; null if the clocks cannot agree. */
  latencyMs() {
    if (!this.wallOffset || !this.placed) return null;
    const latency = Date.now() - (this.wallOffset + this.video.currentTime * 1000);
    return latency >= 0 && latency < 60000 ? Math.round(latency) : null;
  }

  /** Figures for tests and diagnosis; lengths in seconds of media. */
  get stats() {
    const end = this.liveEnd();
    return {
      ...this.counts,
      distanceS: end === null ? null : end - this.video.currentTime,
      bufferedS: end === null ? 0 : end - this.buffer.buffered.start(0),
      reserveS: this.reserveS(),
      chunkS: this.chunkS,
      latencyMs: this.latencyMs(),
      playbackRate: this.video.playbackRate,
      width: this.video.videoWidth,
    };
  }
}

function mediaSourceClass() {
  return window.ManagedMediaSource ?? window.MediaSource;
}

function mime(codecs) {
  return `video/mp4; codecs="${codecs}"`;
}

/** Tells whether this browser can play the codecs by Media Source Extensions; without codecs, whether it has them. */
export function canPlay(codecs) {
  const source = mediaSourceClass();
  return Boolean(source) && (codecs === undefined || source.isTypeSupported(mime(codecs)));
}

function concat(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}
