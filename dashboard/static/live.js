// The numbers of the overview follow by themselves; without a connection the page stays as it was loaded.
"use strict";
(() => {
  const page = document.querySelector("[data-live]");
  if (!page || !("WebSocket" in window)) return;
  const address = new URL(page.dataset.live, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  let wait = 1000;
  const show = (name, label, text) => {
    const place = page.querySelector(`[data-live-${name}="${CSS.escape(label)}"]`);
    if (place && place.textContent !== text) place.textContent = text;
  };
  const listen = () => {
    const socket = new WebSocket(address);
    socket.onmessage = (event) => {
      wait = 1000;
      for (const card of JSON.parse(event.data).cards) {
        show("value", card.label, card.value);
        show("hint", card.label, card.hint);
      }
    };
    socket.onclose = (event) => {
      if (event.code === 4403) return;
      setTimeout(listen, wait);
      wait = Math.min(wait * 2, 30000);
    };
  };
  listen();
})();
