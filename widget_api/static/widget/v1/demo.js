/* The demo page: names the customer in the chosen way, then loads the widget as any page would. */
(() => {
  "use strict";

  const ID = "porta_futuri_customer_id";
  const chosen = new URLSearchParams(location.search);
  const { key, token } = document.getElementById("data").dataset;
  const form = document.getElementById("choices");
  for (const field of form.querySelectorAll("input, select")) {
    const value = chosen.get(field.name);
    if (value !== null && field.type !== "hidden") field.value = value;
  }
  form.addEventListener("submit", (event) => {
    // The second way is the address itself; all ways of before are forgotten.
    const way = form.elements.way.value;
    sessionStorage.removeItem(ID);
    document.cookie = `${ID}=; path=/; max-age=0; samesite=lax`;
    if (event.submitter?.formMethod === "post") {
      form.action = `${location.pathname}?${new URLSearchParams(new FormData(form))}`;
      return;
    }
    if (way === "address") form.elements.id.name = "customer_id";
    for (const field of form.querySelectorAll("input, select")) {
      field.disabled = !field.value || field.name === "csrfmiddlewaretoken";
    }
  });

  const id = chosen.get("id") || chosen.get("customer_id") || "";
  form.elements.id.value = id;
  const ways = {
    variable: () => (window.PortaFuturi = { customerId: id }),
    cookie: () => (document.cookie = `${ID}=${encodeURIComponent(id)}; path=/; samesite=lax`),
    session: () => sessionStorage.setItem(ID, id),
  };
  if (id) ways[chosen.get("way")]?.();
  if (token) window.PortaFuturi = { ...window.PortaFuturi, token };

  // --- Examples: the API is not asked, so that every face can be seen without breaking anything ------------------------

  const profile = {
    current_phone: "iPhone", subscriptions: { netflix: false, hbo: true, mobile_count: 2, home_count: 1 },
    mobile_revenue: 1234.5, segment: "Loyal", preferences: ["Books", "Music"],
  };
  const found = { customer_id: "HH_9139599", found: true, cdp_available: true, fallback_reason: null, stale: false, profile };
  const missing = { ...found, customer_id: null, found: false, profile: {} };
  const examples = {
    profile: found,
    fallback: { ...found, cdp_available: false, fallback_reason: "timeout" },
    stale: { ...found, stale: true },
    unavailable: { ...missing, cdp_available: false, fallback_reason: "unreachable" },
    unknown: missing,
  };
  const face = chosen.get("face");
  if (face) {
    const real = window.fetch;
    window.PortaFuturi = { customerId: "HH_9139599" };
    window.fetch = (address, options) => {
      if (!String(address).includes("/api/widget/v1/")) return real(address, options);
      if (String(address).includes("/config")) return Promise.resolve(Response.json({ open_lookup: true, write_key: "" }));
      if (face === "loading") return new Promise(() => {});
      if (face === "error") return Promise.reject(new TypeError("This is an example of a network error"));
      return Promise.resolve(Response.json(examples[face]));
    };
  }

  const script = document.createElement("script");
  const address = "/widget/v1/widget.js";
  const policy = window.trustedTypes?.createPolicy("demo", { createScriptURL: (url) => url });
  script.src = policy ? policy.createScriptURL(address) : address;
  Object.assign(script.dataset, { key, ...(face && { open: "true" }) });
  for (const name of ["lang", "theme", "position", "color", "consent"]) {
    if (chosen.get(name)) script.dataset[name] = chosen.get(name);
  }
  document.getElementById("tag").textContent = script.outerHTML;
  document.body.append(script);
})();
