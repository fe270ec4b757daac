// Counts people while a rule is written, and who an audience reaches. Without it the forms work all the same.
"use strict";
(() => {
  const number = new Intl.NumberFormat();
  const ask = async (address, body) => {
    const token = document.querySelector("[name=csrfmiddlewaretoken]");
    const answer = await fetch(address, {
      method: body === undefined ? "GET" : "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token ? token.value : "" },
      body,
    });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.details && said.details.path ? `${said.details.path}: ${said.message}` : said.message);
    return said;
  };

  const estimate = document.querySelector("[data-estimate]");
  const rule = document.querySelector("#id_rules");
  if (estimate && rule) {
    const size = estimate.querySelector("[data-estimate-size]");
    const words = estimate.querySelector("[data-estimate-words]");
    let latest = 0;
    const count = async () => {
      const mine = ++latest;
      const show = (text, reading) => {
        if (mine === latest) [size.textContent, words.textContent] = [text, reading];
      };
      let given;
      try {
        given = JSON.parse(rule.value);
      } catch (error) {
        show("This is no JSON yet.", "");
        return;
      }
      show("Counting …", words.textContent);
      try {
        const found = await ask(estimate.dataset.estimate, JSON.stringify({ rules: given }));
        show(`${number.format(found.size)} of ${number.format(found.people)} people`, found.words);
      } catch (error) {
        show(error.message, "");
      }
    };
    let timer;
    rule.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(count, 700);
    });
    estimate.querySelector("[data-estimate-now]").addEventListener("click", count);
    if (rule.value.trim()) count();
  }

  const audience = document.querySelector("[data-audience]");
  if (audience) {
    const size = audience.querySelector("[data-audience-size]");
    const count = async () => {
      size.textContent = "Counting …";
      try {
        const found = await ask(audience.dataset.audience);
        const n = (name) => number.format(found[name]);
        size.textContent =
          `${n("size")} of ${n("segment")} people: ${n("suppressed")} are suppressed, ` +
          `${n("withoutConsent")} have not consented, ${n("heldOut")} are held out.`;
      } catch (error) {
        size.textContent = error.message;
      }
    };
    audience.querySelector("[data-audience-now]").addEventListener("click", count);
    count();
  }
})();
