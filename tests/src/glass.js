// Put into a page with players of live views: opens one and tells how old its pictures are when they are shown. The
// layout of the timecode is in `camera_simulator::scene::timecode`.
//
// A picture counts as shown at the later of two times: the callback for its frame, and the browser's own expectation of
// when it will be on the screen (`expectedDisplayTime`).
window.glass ??= (() => {
  const BLOCKS = 40;
  const FIXED = [[0, 1], [1, 0], [2, 1], [3, 0], [38, 0], [39, 1]];
  const CONTRAST_MIN = 64;
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });

  /** Milliseconds since the Unix epoch modulo 2^32; null when there is no timecode. */
  const read = (video) => {
    const width = video.videoWidth;
    const height = Math.max(16, Math.floor((video.videoHeight * 2) / 45));
    if (width < 4 * BLOCKS) return null;
    [canvas.width, canvas.height] = [width, height];
    context.drawImage(video, 0, 0, width, height, 0, 0, width, height);
    const pixels = context.getImageData(0, 0, width, height).data;
    const mean = (block) => {
      const begin = Math.floor((block * width) / BLOCKS);
      const end = Math.floor(((block + 1) * width) / BLOCKS);
      const quarter = Math.floor((end - begin) / 4);
      let sum = 0;
      let count = 0;
      for (let y = Math.floor(height / 4); y < Math.ceil((height * 3) / 4); y += 1) {
        for (let x = begin + quarter; x < end - quarter; x += 1, count += 1) sum += pixels[4 * (y * width + x) + 1];
      }
      return sum / count;
    };
    const means = Array.from({ length: BLOCKS }, (_, block) => mean(block));
    const [white, black] = [(means[0] + means[2]) / 2, (means[1] + means[3]) / 2];
    if (white < black + CONTRAST_MIN) return null;
    const bits = means.map((value) => (value > (white + black) / 2 ? 1 : 0));
    const ones = bits.slice(4, 37).reduce((sum, bit) => sum + bit, 0);
    if (FIXED.some(([block, bit]) => bits[block] !== bit) || ones % 2 !== 0 || bits[36] === bits[37]) return null;
    return bits.slice(4, 36).reduce((number, bit) => number * 2 + bit, 0);
  };

  /** When the frame of a callback is shown, milliseconds on the page's own clock. */
  const shown = (metadata) => Math.max(performance.now(), metadata.expectedDisplayTime);

  /** Age of the picture in the video when it is shown, milliseconds; null when it has no timecode. */
  const age = (video, metadata) => {
    const at = Date.now() + shown(metadata) - performance.now();
    const code = read(video);
    return code === null ? null : { code, age: (((Math.round(at) - code) % 2 ** 32) + 2 ** 32) % 2 ** 32 };
  };

  const video = () => document.querySelector(".live-player-video");

  /** Follows the frames until `last` says so or the time is over. */
  const follow = (milliseconds, last) =>
    new Promise((resolve) => {
      const frames = [];
      const missed = { unreadable: 0, notSeen: 0 };
      let before = null;
      let over = false;
      const end = () => {
        over = true;
        resolve({ frames, ...missed });
      };
      const element = video();
      const frame = (_, metadata) => {
        if (over) return;
        const at = shown(metadata);
        const picture = age(element, metadata);
        if (before !== null) missed.notSeen += metadata.presentedFrames - before - 1;
        before = metadata.presentedFrames;
        if (picture === null) missed.unreadable += 1;
        else frames.push({ at, ...picture });
        if (last?.(frames.at(-1))) end();
        else element.requestVideoFrameCallback(frame);
      };
      element.requestVideoFrameCallback(frame);
      setTimeout(end, milliseconds);
    });

  return {
    /** Clicks and tells after how many milliseconds a picture, and one not older than `fresh`, was shown. */
    async open(selector, fresh, milliseconds) {
      const begin = performance.now();
      document.querySelector(selector).click();
      while (!video()) {
        if (performance.now() - begin > milliseconds) return {};
        await new Promise(requestAnimationFrame);
      }
      const { frames } = await follow(milliseconds, (frame) => frame && frame.age <= fresh);
      const live = frames.find((frame) => frame.age <= fresh);
      return { first: frames[0] && frames[0].at - begin, age: frames[0]?.age, live: live && live.at - begin };
    },
    /** What was shown during so many milliseconds. */
    async watch(milliseconds) {
      const { frames, unreadable, notSeen } = await follow(milliseconds);
      const stats = video().parentElement.player.stats;
      return { codes: frames.map(({ code }) => code), ages: frames.map(({ age }) => age), unreadable, notSeen, stats };
    },
  };
})();
