// Cameras: a still picture each until somebody watches; states are asked for every few seconds.

import { mountPlayer } from "./player.js";
import { TEXTS } from "./texts.js";

const STATES_MS = 3000;
const STILL_MS = 10000;
const language = document.documentElement.lang;
const socket = location.protocol === "https:" ? "wss" : "ws";

class Card {
  constructor(section) {
    this.section = section;
    this.id = section.dataset.camera;
    this.picture = section.querySelector(".picture");
    this.still = this.picture.querySelector("img");
    this.stopButton = section.querySelector(".stop");
    for (const button of section.querySelectorAll(".watch")) {
      button.addEventListener("click", () => this.watch(button.dataset.profile));
    }
    this.stopButton.addEventListener("click", () => this.stop());
    // A camera that is dark has no picture; the last one must not pass for now.
    this.still.addEventListener("error", () => (this.still.hidden = true));
    this.still.addEventListener("load", () => (this.still.hidden = false));
    if (section.dataset.start === "1") this.watch(section.dataset.shown);
  }

  watch(profile) {
    this.stop();
    const place = document.createElement("div");
    this.picture.append(place);
    const address = `camera=${encodeURIComponent(this.id)}&profile=${profile}`;
    const end = mountPlayer(place, {
      url: `${socket}://${location.host}/live?${address}`,
      snapshotUrl: `/camera/${encodeURIComponent(this.id)}/snapshot.jpg?w=1280`,
      texts: TEXTS[language],
    });
    this.section.classList.add("watched");
    this.stopButton.hidden = false;
    this.end = () => {
      end();
      place.remove();
    };
  }

  stop() {
    this.end?.();
    this.end = null;
    this.section.classList.remove("watched");
    this.stopButton.hidden = true;
  }

  refresh() {
    if (!this.end && !document.hidden) this.still.src = `/camera/${encodeURIComponent(this.id)}/snapshot.jpg?w=640&t=${Date.now()}`;
  }

  tell(camera) {
    this.section.dataset.state = camera.state;
    this.section.querySelector(".state").textContent = camera.words;
    this.section.querySelector(".advice").textContent = camera.advice;
    this.section.querySelector(".figures").textContent = camera.figures;
  }
}

const cards = [...document.querySelectorAll("section.camera")].map((section) => new Card(section));

document.getElementById("watch-all")?.addEventListener("click", () => {
  for (const card of cards) card.watch(card.section.dataset.shown);
});

async function askStates() {
  try {
    const answer = await fetch(`/api/cameras?lang=${language}`, { signal: AbortSignal.timeout(2 * STATES_MS) });
    if (answer.status === 401) return location.reload();
    for (const camera of await answer.json()) cards.find((card) => card.id === camera.id)?.tell(camera);
    document.body.classList.remove("away");
  } catch {
    // What the cards say is no longer known.
    document.body.classList.add("away");
  }
}

setInterval(askStates, STATES_MS);
setInterval(() => cards.forEach((card) => card.refresh()), STILL_MS);
