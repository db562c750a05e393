// Puts players into the cards of the page, and keeps what is said about each camera as the server would say it now.

import { follow } from "/changes.js";

const main = document.querySelector("main");
const language = document.documentElement.lang;
// A click may come before they do.
const modules = Promise.all([import(`${main.dataset.assets}player.js`), import(`${main.dataset.assets}texts.js`)]);

/** How to end the player of a card, while there is one. */
const playing = new Map();

const part = (card, name) => card.querySelector(`.${name}`);

const address = (card, profile) => {
  const url = new URL("/live/ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.search = new URLSearchParams({ box: card.dataset.box, camera: card.dataset.camera, profile });
  return url.href;
};

const show = (card, { screen, watch, watching, over }) => {
  for (const [name, shown] of Object.entries({ screen, watch, watching, over })) {
    part(card, name).hidden = !shown;
  }
};

const stop = (card) => {
  playing.get(card)?.();
  playing.delete(card);
  show(card, { watch: true });
};

const start = async (card, profile) => {
  stop(card);
  card.dataset.profile = profile;
  show(card, { screen: true, watching: true });
  let end = () => {};
  let isOver = false;
  playing.set(card, () => {
    isOver = true;
    end();
  });
  const onState = (state) => {
    part(card, "over").hidden = state !== "ended";
  };
  const [{ mountPlayer }, { TEXTS }] = await modules;
  if (isOver) return;
  end = mountPlayer(part(card, "screen"), { url: () => address(card, profile), texts: TEXTS[language], onState });
};

main.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const card = button?.closest(".camera");
  if (!card) return;
  if ("stop" in button.dataset) stop(card);
  else if ("again" in button.dataset) start(card, card.dataset.profile);
  else if (button.dataset.profile) start(card, button.dataset.profile);
});

// Boxes whose cameras are in sight hold a connection, so that a click need not wait until they have dialled.
const READY_MS = 10000; // how often it is said; a box is asked far less often
const READY_SOON_MS = 200; // after scrolling
const READY_BOXES_MAX = 8; // in one message
const inSight = new Set();
let readySoon;

const makeReady = () => {
  const boxes = [...new Set([...inSight].map((card) => card.dataset.box))].slice(0, READY_BOXES_MAX);
  if (document.visibilityState !== "visible" || boxes.length === 0) return;
  const headers = { "Content-Type": "application/json" };
  fetch("/live/ready", { method: "POST", headers, body: JSON.stringify({ boxes }) }).catch(() => {});
};

const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) inSight.add(target);
    else inSight.delete(target);
  }
  clearTimeout(readySoon);
  readySoon = setTimeout(makeReady, READY_SOON_MS);
});
for (const card of main.querySelectorAll(".camera")) if (part(card, "watch")) sight.observe(card);
document.addEventListener("visibilitychange", makeReady);
setInterval(makeReady, READY_MS);

/** Takes over what is new without touching a picture that plays. */
const refresh = async () => {
  const url = new URL(location.href);
  url.searchParams.set("fragment", "1");
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok) return;
  const news = new DOMParser().parseFromString(await answer.text(), "text/html");
  const name = (card) => `${card.dataset.box}/${card.dataset.camera}`;
  const cards = new Map([...main.querySelectorAll(".camera")].map((card) => [name(card), card]));
  const fresh = [...news.querySelectorAll(".camera")];
  if (fresh.length !== cards.size || fresh.some((card) => !cards.has(name(card)))) {
    if (playing.size === 0) location.reload(); // other cameras than before
    return;
  }
  for (const card of fresh) {
    const shown = cards.get(name(card));
    for (const piece of ["about", "watch"]) {
      const [before, now] = [part(shown, piece), part(card, piece)];
      // What is the same stays, and with it the focus on a button.
      if (now && before.innerHTML !== now.innerHTML) before.innerHTML = now.innerHTML;
    }
  }
};

let waiting = false;
const soon = () => {
  if (waiting) return;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    refresh();
  }, 1000);
};

follow(soon);
