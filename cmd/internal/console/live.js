// Fetches what changes once a second and changes only what differs, in place: focus, selection and scrolling stay.
(() => {
  "use strict";
  const live = document.getElementById("live"), away = document.getElementById("away"), said = document.getElementById("said");
  const pause = document.getElementById("pause"), build = live.dataset.build;
  const every = 1000, patience = 10000, quiet = 15000;
  let paused = false, busy = false, since = 0, spoken = 0, timer = 0;

  // become makes one element like another: attributes, then children, which are the same where their data-key is.
  function become(is, will) {
    for (const a of [...is.attributes]) if (!will.hasAttribute(a.name)) is.removeAttribute(a.name);
    for (const a of will.attributes) if (is.getAttribute(a.name) !== a.value) is.setAttribute(a.name, a.value);
    const wanted = new Map(), have = new Map();
    for (const w of will.children) if (w.dataset.key) wanted.set(w.dataset.key, w);
    for (const c of [...is.children]) {
      if (!c.dataset.key) continue;
      if (wanted.has(c.dataset.key)) have.set(c.dataset.key, c); else c.remove();
    }
    let at = is.firstChild;
    for (const w of will.childNodes) {
      let c = null;
      if (keyOf(w)) {
        c = have.get(keyOf(w));
        have.delete(keyOf(w));
        while (c && at && at !== c && !keyOf(at)) at = drop(at); // so that c, which may have the focus, is not moved
      } else if (at && !keyOf(at) && at.nodeName === w.nodeName) {
        c = at;
      }
      if (!c) { is.insertBefore(document.importNode(w, true), at); continue; }
      if (c === at) at = at.nextSibling; else is.insertBefore(c, at);
      if (c.nodeType === 1) become(c, w);
      else if (c.nodeValue !== w.nodeValue) c.nodeValue = w.nodeValue;
    }
    while (at) at = drop(at);
  }
  function keyOf(n) { return n && n.nodeType === 1 ? n.dataset.key : undefined; }
  function drop(n) { const after = n.nextSibling; n.remove(); return after; }

  // speak tells those who listen and do not look, and not all the time.
  function speak(text) {
    if (said.textContent !== text && Date.now() - spoken > quiet) { said.textContent = text; spoken = Date.now(); }
  }

  async function look() {
    busy = true;
    const stop = new AbortController(), late = setTimeout(() => stop.abort(), patience);
    try {
      const r = await fetch("live", { cache: "no-store", signal: stop.signal });
      if (r.status === 401) { location.reload(); return; }
      if (!r.ok) throw new Error(r.statusText);
      const fresh = new DOMParser().parseFromString(await r.text(), "text/html").getElementById("live");
      if (!fresh) throw new Error("not the page");
      if (fresh.dataset.build !== build && performance.now() > patience) { location.reload(); return; } // another version of it
      become(live, fresh);
      speak(live.querySelector("#summary").textContent);
      since = 0;
      away.hidden = true;
    } catch {
      since = since || Date.now();
      away.querySelector("span").textContent = new Date(since).toLocaleTimeString();
      away.hidden = false;
    } finally {
      clearTimeout(late);
      busy = false;
      next();
    }
  }
  function next() {
    clearTimeout(timer);
    if (!paused && !busy && !document.hidden) timer = setTimeout(look, every);
  }
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    next();
  });
  document.addEventListener("visibilitychange", next);
  next();
})();
