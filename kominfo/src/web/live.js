// Keeps the page as the server would render it now. Without this script the page is right when loaded.

import { follow } from "/changes.js";

const main = document.querySelector("main");
const light = document.querySelector("#live");
const address = new URL(location.href);
address.searchParams.set("fragment", "1");
let busy = false;
let again = false;

const show = (live) => {
  light.dataset.live = live ? "yes" : "no";
  light.textContent = live ? light.dataset.on : light.dataset.off;
};

const refresh = async () => {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const answer = await fetch(address);
    if (answer.ok) {
      main.innerHTML = await answer.text();
    }
    show(answer.ok);
  } catch {
    show(false);
  }
  busy = false;
  if (again) {
    again = false;
    setTimeout(refresh, 250);
  }
};

follow(refresh, () => show(false));
