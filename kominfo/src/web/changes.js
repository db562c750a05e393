// Tells a page when something has come in at the city, and every half minute for whoever finds no place among those who
// are told.
//
// A browser makes six connections to a server of HTTP/1.1, for all of its tabs together, and each that listens here
// takes one. So a page listens only while it is seen.

const EVERY_MS = 30000;

/** Calls `changed` when there is something new, and `lost` when the city cannot be heard. */
export function follow(changed, lost = () => {}) {
  let events = null;
  let again = 0;

  const close = () => {
    clearTimeout(again);
    events?.close();
    events = null;
  };

  const open = () => {
    close();
    const own = (events = new EventSource("/api/v1/live")); // it tells of a change as soon as it is open
    own.addEventListener("change", () => changed());
    own.addEventListener("error", () => {
      lost();
      // After an answer that is none the browser does not ask again by itself.
      if (own.readyState === EventSource.CLOSED && own === events) again = setTimeout(open, EVERY_MS);
    });
  };

  const look = () => (document.visibilityState === "visible" ? open() : close());
  document.addEventListener("visibilitychange", look);
  window.addEventListener("pageshow", look);
  window.addEventListener("pagehide", close);
  setInterval(() => document.visibilityState === "visible" && changed(), EVERY_MS);
}
