// Keeps the page as the server would render it now. Without this script the page is right when loaded.
"use strict";
(() => {
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

  const listen = () => {
    const events = new EventSource("/api/v1/live");
    events.addEventListener("change", refresh);
    events.addEventListener("error", () => {
      show(false);
      // After an answer that is none the browser does not ask again by itself.
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, 30000);
    });
  };
  listen();
  // Times such as "3 minutes ago" pass without a change; and whoever finds no place among the viewers still sees news.
  setInterval(refresh, 30000);
})();
