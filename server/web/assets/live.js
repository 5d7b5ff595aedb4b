// SPDX-License-Identifier: Apache-2.0
// Keeps a page up to date. The server tells over one stream of events that reports were
// filed, or that jobs went on; then a page that shows them is read again and its main part
// replaced. Without this script, or where the stream is refused, the page is what it was
// when it was read.
"use strict";
(() => {
  const GAP_MS = 2000;      // between two readings of the page
  const RETRY_MS = 15000;   // after a refused stream
  const sign = document.getElementById("live");
  let source = null, timer = 0, due = false, last = 0;

  function say(on) {
    sign.classList.toggle("on", on);
    sign.textContent = on ? "live" : "";
  }

  // A person who is at a field of a form keeps it.
  function busy() {
    const at = document.activeElement;
    return at && at.closest("form");
  }

  // The same element of the new page has the focus again.
  function place(at) {
    if (!at || !at.closest("main")) return null;
    const all = [...document.querySelectorAll("main a, main [tabindex]")];
    return at.href ? ["href", at.getAttribute("href")] : ["at", all.indexOf(at)];
  }

  function focus(where) {
    if (!where) return;
    const all = [...document.querySelectorAll("main a, main [tabindex]")];
    const found = where[0] === "at" ? all[where[1]]
      : all.find((one) => one.getAttribute("href") === where[1]);
    if (found) found.focus({ preventScroll: true });
  }

  async function read() {
    timer = 0;
    if (document.hidden || busy()) { due = true; return; }
    due = false;
    last = Date.now();
    try {
      const reply = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!reply.ok) return;
      const page = new DOMParser().parseFromString(await reply.text(), "text/html");
      const now = document.getElementById("main"), next = page.getElementById("main");
      if (!next || busy() || now.innerHTML === next.innerHTML) return;
      const where = place(document.activeElement);
      const scrolled = [...now.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
      now.replaceWith(document.importNode(next, true));
      document.querySelectorAll("main .scroll").forEach((one, i) => {
        one.scrollLeft = scrolled[i] || 0;
      });
      focus(where);
    } catch (error) { /* the next event reads it again */ }
  }

  function wake() {
    if (!timer) timer = setTimeout(read, Math.max(0, last + GAP_MS - Date.now()));
  }

  function open() {
    if (source || document.hidden) return;
    source = new EventSource("/v1/events");
    source.addEventListener("open", () => say(true));
    source.addEventListener(/^\/jobs(\/|$)/.test(location.pathname) ? "jobs" : "reports", wake);
    source.addEventListener("error", () => {
      say(false);
      if (source && source.readyState === EventSource.CLOSED) {
        source = null;
        setTimeout(open, RETRY_MS);
      }
    });
  }

  // A page that nobody sees holds no stream.
  function close() {
    if (source) source.close();
    source = null;
    say(false);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { close(); return; }
    open();
    wake();
  });
  document.addEventListener("focusout", () => { if (due) wake(); });
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
})();
