/* Porta Futuri widget, version 1: shows visitors their profile, and counts page views of those who agreed.
 *
 * <script async src="https://cdp.example/widget/v1/widget.js" data-key="pk_…"></script>
 *
 * Attributes and what the page can call: docs/widget.md. No dependency. Under a strict Content-Security-Policy it
 * needs its origin in script-src and connect-src, and nothing else: no eval, no markup from text, no style attribute.
 */
(() => {
  "use strict";

  const script = document.currentScript;
  if (!script || window.PortaFuturi?.widget) return; // one widget a page
  const shop = (window.PortaFuturi = window.PortaFuturi || {});
  const options = script.dataset;
  const api = (options.api || new URL(script.src).origin).replace(/\/$/, "");
  const ID = "porta_futuri_customer_id";
  const ANONYMOUS = "porta_futuri_anonymous_id";
  const CONSENT = "porta_futuri_consent";
  const IDENTIFIED = "porta_futuri_identified";

  // --- Texts ---------------------------------------------------------------------------------------------------------

  const TEXTS = {
    en: {
      title: "Your profile",
      open: "Open your profile",
      close: "Close",
      loading: "Loading your profile …",
      locked: "Sign in to the shop to see your profile here.",
      expired: "Your sign-in has expired. Reload the page to see your profile.",
      ask: "Which customer?",
      label: "Customer ID",
      hint: "For example CUST123",
      blank: "Type a customer ID first.",
      go: "Continue",
      other: "Another customer",
      unknown: "There is no customer with this ID.",
      unknownYou: "There is nothing about you here yet.",
      nothing: "There is nothing to show in this profile.",
      fallback: "Live data cannot be reached right now. This is what was stored last.",
      unavailable: "The profile cannot be reached right now.",
      stale: "This was fetched a few minutes ago.",
      error: "The profile could not be loaded.",
      busy: "Too many requests. Try again in a minute.",
      again: "Try again",
      count: "Count my page views, to make this shop better",
      yes: "Yes",
      no: "No",
    },
    lt: {
      title: "Jūsų profilis",
      open: "Atverti savo profilį",
      close: "Užverti",
      loading: "Profilis įkeliamas …",
      locked: "Prisijunkite prie parduotuvės, kad čia matytumėte savo profilį.",
      expired: "Prisijungimas baigėsi. Įkelkite puslapį iš naujo, kad matytumėte savo profilį.",
      ask: "Kuris klientas?",
      label: "Kliento ID",
      hint: "Pavyzdžiui, CUST123",
      blank: "Pirmiausia įrašykite kliento ID.",
      go: "Tęsti",
      other: "Kitas klientas",
      unknown: "Kliento su tokiu ID nėra.",
      unknownYou: "Apie jus čia dar nieko nėra.",
      nothing: "Šiame profilyje nėra ko rodyti.",
      fallback: "Šiuo metu naujausi duomenys nepasiekiami. Rodoma tai, kas išsaugota paskutinį kartą.",
      unavailable: "Šiuo metu profilis nepasiekiamas.",
      stale: "Duomenys gauti prieš kelias minutes.",
      error: "Profilio įkelti nepavyko.",
      busy: "Per daug užklausų. Bandykite po minutės.",
      again: "Bandyti dar kartą",
      count: "Skaičiuoti mano peržiūras, kad parduotuvė gerėtų",
      yes: "Taip",
      no: "Ne",
    },
  };
  const NAMES_LT = {
    current_phone: "Telefono modelis",
    subscriptions: "Prenumeratos",
    mobile_count: "Mobiliojo ryšio prenumeratos",
    home_count: "Namų prenumeratos",
    mobile_revenue: "Mobiliojo ryšio pajamos",
    age_group: "Amžiaus grupė",
    gender: "Lytis",
    location: "Vieta",
    country: "Šalis",
    city: "Miestas",
    segment: "Segmentas",
    lifetime_value: "Kliento vertė",
    purchase_count: "Pirkimų skaičius",
    currency: "Valiuta",
    as_of: "Duomenų data",
    preferences: "Pomėgiai",
    purchase_history: "Pirkiniai",
    first_name: "Vardas",
    last_name: "Pavardė",
    name: "Vardas",
    email: "El. paštas",
    phone: "Telefonas",
    attributes: "Kita",
  };
  const NAMES_EN = { hbo: "HBO", attributes: "More", email: "E-mail", mobile_count: "Mobile", home_count: "Home" };
  const wanted = (options.lang || document.documentElement.lang || "en").toLowerCase();
  const lang = wanted.startsWith("lt") ? "lt" : "en";
  const text = TEXTS[lang];
  const names = lang === "lt" ? { hbo: "HBO", ...NAMES_LT } : NAMES_EN;

  function nameOf(key) {
    const snake = key.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase();
    if (Object.hasOwn(names, snake)) return names[snake];
    const words = snake.replace(/[_\W]+/gu, " ").trim() || key;
    return words[0].toUpperCase() + words.slice(1);
  }

  // --- What the browser keeps: a page may forbid it, then nothing is kept --------------------------------------------

  function kept(store, name, value) {
    try {
      if (value === undefined) return window[store].getItem(name) || "";
      if (value === null) window[store].removeItem(name);
      else window[store].setItem(name, value);
    } catch {
      /* storage is blocked */
    }
    return "";
  }

  function cookie(name) {
    const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
    const value = found ? found.slice(name.length + 1) : "";
    try {
      return decodeURIComponent(value);
    } catch {
      return value;
    }
  }

  // --- Who is there --------------------------------------------------------------------------------------------------

  const trimmed = (value) => (value === undefined || value === null ? "" : String(value).trim());

  /* The first of: the page's variable, the address, the cookie, what was typed in this tab. */
  function customerId() {
    return (
      trimmed(window.PortaFuturi?.customerId) ||
      trimmed(new URLSearchParams(location.search).get("customer_id")) ||
      trimmed(cookie(ID)) ||
      trimmed(kept("sessionStorage", ID))
    );
  }

  /* The signed token, or nothing. `getToken` may be asynchronous; it is asked again when a token has expired. */
  async function customerToken() {
    const page = window.PortaFuturi || {};
    if (typeof page.getToken === "function") return trimmed(await page.getToken());
    return trimmed(page.token || options.token);
  }

  function subjectOf(token) {
    try {
      const body = atob(token.split(".")[2].replace(/-/g, "+").replace(/_/g, "/"));
      return JSON.parse(new TextDecoder().decode(Uint8Array.from(body, (letter) => letter.charCodeAt(0)))).sub;
    } catch {
      return "";
    }
  }

  // --- The API -------------------------------------------------------------------------------------------------------

  class Refused extends Error {
    constructor(status, code) {
      super(code);
      this.status = status;
    }
  }

  async function ask(what, headers) {
    const address = `${api}/api/widget/v1/${what}?key=${encodeURIComponent(options.key || "")}`;
    const answer = await fetch(address, { headers, credentials: "omit", signal: AbortSignal.timeout(8000) });
    const body = await answer.json();
    if (!answer.ok) throw new Refused(answer.status, body.code);
    return body;
  }

  let settled;
  function config() {
    settled = settled || ask("config", {});
    settled.catch(() => (settled = undefined)); // the next who asks tries again
    return settled;
  }

  // --- Page views ----------------------------------------------------------------------------------------------------

  const chosen = options.consent === "granted" || options.consent === "denied" ? options.consent : "";
  let consent = chosen || kept("localStorage", CONSENT) || "unknown";

  function randomId() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (n) => n.toString(16).padStart(2, "0")).join("");
  }

  /* That of Segment's SDK where the page has one, so that both speak of the same visitor. */
  function anonymousId() {
    const shared = kept("localStorage", "ajs_anonymous_id").replace(/^"|"$/g, "") || cookie("ajs_anonymous_id");
    const id = shared || kept("localStorage", ANONYMOUS) || randomId();
    if (!shared) kept("localStorage", ANONYMOUS, id);
    return id;
  }

  /* An address without its query, which may name the customer; only utm_… stays. */
  function withoutQuery(address) {
    if (!address) return { url: "", search: "" };
    const url = new URL(address, location.href);
    const utm = new URLSearchParams([...url.searchParams].filter(([name]) => name.startsWith("utm_"))).toString();
    const search = utm && `?${utm}`;
    return { url: url.origin + url.pathname + search, path: url.pathname, search };
  }

  /* Nothing is sent, and nothing is kept, unless the visitor has agreed. */
  async function send(type, fields, context) {
    if (consent === "granted") await deliver(type, fields, context, true);
  }

  /* With what the visitor allows: the server's ledger of consents follows it. */
  async function deliver(type, fields, context, allowed) {
    const now = new Date().toISOString();
    const message = {
      type,
      messageId: `widget-${randomId()}`,
      anonymousId: anonymousId(),
      timestamp: now,
      sentAt: now,
      ...fields,
      context: {
        library: { name: "porta-futuri-widget", version: "1" },
        locale: navigator.language,
        consent: { categoryPreferences: { ANALYTICS_TRACKING: allowed } },
        ...context,
      },
    };
    try {
      const writeKey = (await config()).write_key;
      await fetch(`${api}/v1/${type}`, {
        method: "POST",
        body: JSON.stringify({ ...message, writeKey }), // as text/plain, which needs no pre-flight
        credentials: "omit",
        keepalive: true,
      });
    } catch {
      /* a page view is not worth an error in the shop's console */
    }
  }

  async function identify() {
    if (consent !== "granted") return;
    const token = await customerToken().catch(() => "");
    const userId = token && subjectOf(token);
    if (!userId) return;
    const mark = `${userId} ${anonymousId()}`;
    if (kept("sessionStorage", IDENTIFIED) === mark) return;
    kept("sessionStorage", IDENTIFIED, mark);
    await send("identify", { userId, traits: {} }, { identityToken: token });
  }

  function page() {
    const { url, path, search } = withoutQuery(location.href);
    const referrer = withoutQuery(document.referrer).url;
    return send("page", { properties: { url, path, search, referrer, title: document.title } });
  }

  function setConsent(granted) {
    const before = consent;
    consent = granted ? "granted" : "denied";
    if (!chosen) kept("localStorage", CONSENT, consent);
    if (!granted) {
      // Only who was followed is known: the others need not become known to say no.
      if (before === "granted") deliver("identify", { traits: {} }, {}, false);
      kept("localStorage", ANONYMOUS, null);
      kept("sessionStorage", IDENTIFIED, null);
    } else if (before !== "granted") {
      page();
      identify();
    }
    if (box) box.checked = granted;
  }

  // --- The look ------------------------------------------------------------------------------------------------------

  const SHEET = new CSSStyleSheet();
  SHEET.replaceSync(`
    :host { all: initial; --accent: #1d4ed8; --on-accent: #fff; --back: #fff; --text: #1f2937; --muted: #4b5563;
      --line: #d1d5db; --soft: #f3f4f6; --warn: #7c2d12; --warn-back: #ffedd5; color-scheme: light;
      position: fixed; z-index: 2147483000; inset: auto 16px 16px auto; direction: ltr; }
    :host([data-theme="dark"]) { --back: #111827; --text: #e5e7eb; --muted: #9ca3af; --line: #374151; --soft: #1f2937;
      --warn: #fed7aa; --warn-back: #431407; color-scheme: dark; }
    :host([data-position$="left"]) { inset: auto auto 16px 16px; }
    :host([data-position="top-right"]) { inset: 16px 16px auto auto; }
    :host([data-position="top-left"]) { inset: 16px auto auto 16px; }
    @media print { :host { display: none; } }
    * { box-sizing: border-box; font: 15px/1.45 system-ui, sans-serif; }
    button { cursor: pointer; }
    button, input { border-radius: 8px; }
    :focus-visible { outline: 3px solid var(--text); outline-offset: 2px; }
    .launcher { align-items: center; background: var(--accent); border: 2px solid var(--on-accent); border-radius: 50%;
      box-shadow: 0 2px 10px #0005; color: var(--on-accent); display: flex; height: 56px; justify-content: center;
      padding: 0; width: 56px; }
    .launcher svg { fill: currentColor; height: 28px; width: 28px; }
    .launcher[hidden], .panel[hidden] { display: none; }
    .panel { background: var(--back); border: 1px solid var(--line); border-radius: 14px; box-shadow: 0 8px 30px #0004;
      color: var(--text); display: flex; flex-direction: column; max-height: min(560px, calc(100vh - 32px));
      overflow: hidden; width: min(360px, calc(100vw - 32px)); }
    .head { align-items: center; background: var(--accent); color: var(--on-accent); display: flex; gap: 8px;
      justify-content: space-between; padding: 8px 8px 8px 16px; }
    h2 { font-size: 17px; font-weight: 600; margin: 0; }
    .close { background: none; border: 0; color: inherit; font-size: 24px; height: 44px; line-height: 1; width: 44px; }
    .close:focus-visible { outline-color: var(--on-accent); outline-offset: -4px; }
    .body { overflow: auto; overflow-wrap: anywhere; padding: 16px; }
    .body:focus { outline: none; }
    p { margin: 0 0 12px; }
    p:last-child { margin-bottom: 0; }
    h3 { font-weight: 600; margin: 16px 0 4px; }
    .who { color: var(--muted); font-size: 13px; }
    .note { background: var(--warn-back); border-radius: 8px; color: var(--warn); padding: 8px 12px; }
    dl { margin: 0; }
    dl > div { border-bottom: 1px solid var(--line); display: flex; gap: 16px; justify-content: space-between;
      padding: 7px 0; }
    dl > div:last-child { border-bottom: 0; }
    dt { color: var(--muted); }
    dd { font-variant-numeric: tabular-nums; font-weight: 600; margin: 0; text-align: right; }
    label { display: block; font-weight: 600; margin-bottom: 4px; }
    input[type="text"] { background: var(--back); border: 1px solid var(--muted); color: inherit; margin-bottom: 4px;
      min-height: 44px; padding: 8px 12px; width: 100%; }
    .hint { color: var(--muted); font-size: 13px; }
    .wrong { color: var(--warn); font-size: 13px; }
    .act { background: var(--accent); border: 0; color: var(--on-accent); font-weight: 600; min-height: 44px;
      padding: 8px 18px; }
    .plain { background: none; border: 1px solid var(--line); color: inherit; margin-top: 12px; min-height: 44px;
      padding: 8px 14px; }
    .foot { border-top: 1px solid var(--line); padding: 10px 16px; }
    .foot label { align-items: center; color: var(--muted); display: flex; font-size: 13px; font-weight: 400; gap: 8px;
      margin: 0; min-height: 24px; }
    .foot input { accent-color: var(--accent); height: 18px; margin: 0; width: 18px; flex: none; }
    .bars i { animation: pulse 1.2s ease-in-out infinite alternate; background: var(--soft); border-radius: 6px;
      display: block; height: 16px; margin-top: 10px; }
    .bars i:nth-child(odd) { width: 70%; }
    @keyframes pulse { to { background: var(--line); } }
    @media (prefers-reduced-motion: reduce) { .bars i { animation: none; } }
  `);

  /* An element; `on…` are listeners, texts become text. */
  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  function icon() {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", "M12 12a5 5 0 1 0 0-10 5 5 0 0 0 0 10Zm0 2c-5 0-9 2.7-9 6v2h18v-2c0-3.3-4-6-9-6Z");
    svg.append(path);
    return svg;
  }

  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [SHEET];
  host.lang = lang;
  host.id = "porta-futuri-widget";
  const position = options.position || "bottom-right";
  host.dataset.position = position;

  const launcher = make(
    "button",
    { class: "launcher", type: "button", "aria-label": text.open, "aria-expanded": "false", onclick: open },
    icon(),
  );
  const body = make("div", { class: "body", tabindex: "-1", "aria-live": "polite" });
  const closer = make("button", { class: "close", type: "button", "aria-label": text.close, onclick: close }, "×");
  const panel = make(
    "section",
    { class: "panel", role: "dialog", "aria-labelledby": "title", hidden: true, onkeydown: onKey },
    make("div", { class: "head" }, make("h2", { id: "title" }, text.title), closer),
    body,
  );
  let box;
  if (!chosen) {
    box = make("input", { type: "checkbox", onchange: () => setConsent(box.checked) });
    box.checked = consent === "granted";
    panel.append(make("div", { class: "foot" }, make("label", null, box, text.count)));
  }
  root.append(launcher, panel);

  function dress() {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => (host.dataset.theme = options.theme || (dark.matches ? "dark" : "light"));
    follow();
    dark.addEventListener("change", follow);
    if (!options.color || !CSS.supports("color", options.color)) return;
    host.style.setProperty("--accent", options.color);
    const [red, green, blue] = (getComputedStyle(launcher).backgroundColor.match(/[\d.]+/g) || []).map(Number);
    const [r, g, b] = [red, green, blue].map((n) => ((n / 255 + 0.055) / 1.055) ** 2.4); // WCAG 2: relative luminance
    const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    host.style.setProperty("--on-accent", light > 0.179 ? "#000" : "#fff");
  }

  // --- The faces -----------------------------------------------------------------------------------------------------

  function show(face, ...children) {
    const inside = body.contains(root.activeElement);
    host.dataset.face = face;
    body.setAttribute("aria-busy", String(face === "loading"));
    body.replaceChildren(...children);
    if (inside) (body.querySelector("input") || body).focus(); // what had the focus is gone
  }

  const say = (sentence, kind) => make("p", kind ? { class: kind } : null, sentence);
  const button = (label, act, kind) => make("button", { class: kind || "act", type: "button", onclick: act }, label);

  function showLoading() {
    const bars = make("div", { class: "bars", "aria-hidden": "true" }, ...[1, 2, 3, 4].map(() => make("i")));
    show("loading", say(text.loading, "who"), bars);
  }

  function showForm(face, ...before) {
    const input = make("input", {
      type: "text", id: "id", maxlength: "200", autocomplete: "off", spellcheck: "false", autocapitalize: "off",
      "aria-describedby": "hint",
    });
    const hint = make("p", { class: "hint", id: "hint" }, text.hint);
    const form = make(
      "form",
      {
        novalidate: true,
        onsubmit(event) {
          event.preventDefault();
          const id = input.value.trim();
          if (id) {
            kept("sessionStorage", ID, id);
            load(id);
            return;
          }
          hint.className = "wrong";
          hint.setAttribute("role", "alert");
          hint.textContent = text.blank;
          input.setAttribute("aria-invalid", "true");
          input.focus();
        },
      },
      make("label", { for: "id" }, text.label),
      input,
      hint,
      make("button", { class: "act", type: "submit" }, text.go),
    );
    show(face, ...before, form);
  }

  function valueOf(value) {
    if (typeof value === "boolean") return value ? text.yes : text.no;
    if (typeof value === "number") return new Intl.NumberFormat(lang, { maximumFractionDigits: 2 }).format(value);
    return Array.isArray(value) ? value.map(valueOf).join(", ") : String(value);
  }

  const isGroup = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const isBlank = (value) => value === null || value === "" || (Array.isArray(value) && !value.length);

  function rowsOf(profile) {
    const entries = Object.entries(profile).filter(([, value]) => !isBlank(value));
    const rows = entries
      .filter(([, value]) => !isGroup(value))
      .map(([key, value]) => make("div", null, make("dt", null, nameOf(key)), make("dd", null, valueOf(value))));
    const groups = entries
      .filter(([, value]) => isGroup(value) && Object.keys(value).length)
      .flatMap(([key, value]) => [make("h3", null, nameOf(key)), ...rowsOf(value)]);
    return rows.length ? [make("dl", null, ...rows), ...groups] : groups;
  }

  function showAnswer(answer, typed) {
    // Without an integration our own store is the normal place, and nobody need be told.
    const down = !answer.cdp_available && !["not_configured", "feature_off"].includes(answer.fallback_reason);
    const other = typed && button(text.other, () => { kept("sessionStorage", ID, null); showForm("form"); }, "plain");
    if (answer.found) {
      const note = down ? [say(text.fallback, "note")] : answer.stale ? [say(text.stale, "who")] : [];
      const rows = rowsOf(answer.profile);
      const content = rows.length ? rows : [say(text.nothing)];
      const who = make("p", { class: "who" }, `${text.label}: ${answer.customer_id}`);
      show(down ? "fallback" : "profile", ...note, who, ...content, ...(other ? [other] : []));
    } else if (down) {
      show("unavailable", say(text.unavailable, "note"), button(text.again, () => load()));
    } else if (typed) {
      showForm("unknown", say(text.unknown, "note"));
    } else {
      show("unknown", say(text.unknownYou));
    }
  }

  function showError(error) {
    if (error instanceof Refused && error.message === "token_expired") return show("expired", say(text.expired));
    const sentence = error instanceof Refused && error.status === 429 ? text.busy : text.error;
    // The sentence for the visitor says nothing of keys and origins; this one is for whoever builds the page.
    console.warn(`Porta Futuri widget: ${error.message}. Is ${location.origin} among the origins of the key?`);
    return show("error", say(sentence, "note"), button(text.again, () => load()));
  }

  let turn = 0;
  /* Ask and show; `id` is what was typed just now. Only the newest of several calls shows anything. */
  async function load(id) {
    const mine = ++turn;
    const current = (act, ...values) => mine === turn && act(...values);
    showLoading();
    try {
      const token = await customerToken();
      if (token) return current(showAnswer, await askForToken(token), false);
      if (!(await config()).open_lookup) return current(show, "locked", say(text.locked));
      const customer = id || customerId();
      if (!customer) return current(showForm, "form", say(text.ask));
      return current(showAnswer, await ask("profile", { "X-Customer-Id": encodeURIComponent(customer) }), true);
    } catch (error) {
      return current(showError, error);
    }
  }

  async function askForToken(token) {
    try {
      return await ask("profile", { Authorization: `Bearer ${token}` });
    } catch (error) {
      const next = error.message === "token_expired" ? await customerToken() : token;
      if (next === token) throw error;
      return ask("profile", { Authorization: `Bearer ${next}` });
    }
  }

  let loaded = false;
  function open(quietly) {
    panel.hidden = false;
    launcher.hidden = true;
    launcher.setAttribute("aria-expanded", "true");
    if (quietly !== true) closer.focus(); // a page that opens it at once keeps its focus
    if (!loaded) load();
    loaded = true;
  }

  function close() {
    panel.hidden = true;
    launcher.hidden = false;
    launcher.setAttribute("aria-expanded", "false");
    launcher.focus();
  }

  function onKey(event) {
    if (event.key === "Escape") {
      event.stopPropagation();
      close();
    }
  }

  // --- Start ---------------------------------------------------------------------------------------------------------

  function start() {
    document.body.append(host);
    dress();
    page();
    identify();
    if (options.open === "true") open(true);
  }

  shop.widget = { open: () => open(), close, page, consent: setConsent, reload: () => { identify(); return load(); } };
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
