// What pages gain from JavaScript; each works without it. One listener for each kind of thing, found by its data- name.
// data-live="URL": this part is fetched anew (3 s for a minute, then every minute) while the page is seen, until the
//   server marks it data-final; data-slow: every minute from the start. Nothing is asked while the page is hidden or
//   paused; once it is seen again the part is fetched at once. data-copy: copies the text of the element it names.
//   data-all: ticks every box of its form. The letter keys of the help page, unless the person switched them off.

const seen = () => document.visibilityState === "visible";
let paused = false;

function live(part) {
  let turns = 0, timer = 0, asking = false, tag = part.dataset.tag || "";
  const gone = new AbortController();
  const next = () => { timer = setTimeout(look, turns++ < 20 && !("slow" in part.dataset) ? 3000 : 60000); };
  async function look() {
    if (!part.isConnected || "final" in part.dataset) return gone.abort();
    if (!seen() || paused) return; // until wake()
    asking = true;
    try {
      const answer = await fetch(part.dataset.live, { headers: tag ? { "If-None-Match": tag } : {}, redirect: "error" });
      if (answer.status === 200) {
        tag = answer.headers.get("ETag") || "";
        const inner = document.createElement("template");
        inner.innerHTML = await answer.text();
        const fresh = inner.content.firstElementChild;
        if (fresh && !paused && fresh.outerHTML !== part.outerHTML && exchange(part, fresh)) {
          gone.abort();
          return live(fresh);
        }
      }
    } catch { /* the server is away for a moment: ask again later */ } finally { asking = false; }
    next();
  }
  function wake() {
    if (!seen() || paused || asking) return;
    clearTimeout(timer);
    turns = 0;
    look();
  }
  if ("final" in part.dataset) return;
  document.addEventListener("visibilitychange", wake, { signal: gone.signal });
  document.addEventListener("goon", wake, { signal: gone.signal });
  next();
}

// Nothing is taken from under somebody who types or reads details; a focus on a button or a link stays where it was.
const nameOf = (one) => one.id || one.dataset.copy || one.getAttribute("href") || one.name || one.textContent;
function exchange(part, fresh) {
  const at = part.contains(document.activeElement) && document.activeElement !== part ? document.activeElement : null;
  if (at?.matches("input,select,textarea") || part.querySelector("details[open]")) return false;
  const same = at && [...fresh.querySelectorAll(at.tagName)].find((one) => nameOf(one) === nameOf(at));
  part.replaceWith(fresh);
  if (at && !same) fresh.tabIndex = -1;
  if (at) (same || fresh).focus({ preventScroll: true });
  return true;
}
document.querySelectorAll("[data-live]").forEach(live);

document.addEventListener("click", async (event) => {
  const at = event.target.closest("[data-copy],[data-pause],[data-print],[data-open],[data-close]");
  if (!at) return;
  if ("copy" in at.dataset) {
    const from = document.getElementById(at.dataset.copy);
    await navigator.clipboard.writeText("value" in from ? from.value : from.textContent.trim());
    const said = document.getElementById("said");
    if (said) said.textContent = at.dataset.done || "";
    at.dataset.was ??= at.textContent; at.textContent = at.dataset.done || at.textContent;
    setTimeout(() => { at.textContent = at.dataset.was; }, 2500);
  } else if ("pause" in at.dataset) {
    paused = !paused;
    at.setAttribute("aria-pressed", String(paused));
    document.dispatchEvent(new Event("goon"));
  } else if ("print" in at.dataset) window.print();
  else if ("open" in at.dataset) { event.preventDefault(); document.getElementById(at.dataset.open).showModal(); }
  else if ("close" in at.dataset) { event.preventDefault(); at.closest("dialog").close(); }
});

document.addEventListener("change", (event) => {
  const all = event.target.closest("[data-all]");
  if (all) all.form.querySelectorAll(`input[name="${all.dataset.all}"]`).forEach((box) => { box.checked = all.checked; });
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

// A form is sent once: the token makes a second one harmless, this makes it rare.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
  setTimeout(() => { delete form.dataset.sent; }, 4000);
});

// Keys: never while typing, never with Ctrl or Alt, and only when they are on.
let wanted = "";
const rows = () => [...document.querySelectorAll("[data-row] a, a[data-row]")].filter((one, n, all) => one.closest("[data-row]") !== all[n - 1]?.closest("[data-row]"));
const places = { h: "/", l: "/log", t: "/todo", q: "/queue" };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || !("keys" in document.body.dataset)) return;
  if (event.target.closest("input,textarea,select,[contenteditable]")) return;
  const key = event.key, list = rows(), at = list.findIndex((one) => one.closest("[data-row]").contains(document.activeElement));
  if (wanted === "g") { wanted = ""; if (places[key]) location.assign(places[key]); return; }
  if (key === "g") wanted = "g";
  else if (key === "/") { event.preventDefault(); document.getElementById("q")?.focus(); }
  else if (key === "j" && list.length) list[Math.min(at + 1, list.length - 1)].focus();
  else if (key === "k" && list.length) list[Math.max(at - 1, 0)].focus();
  else if (key === "x" && at >= 0) list[at].closest("[data-row]").querySelector("input[type=checkbox]")?.click();
  else if (key === "u") history.length > 1 && history.back();
  else if (key === "?") location.assign("/help#keys");
});
