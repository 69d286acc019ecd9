// A thread: new messages join at the end without disturbing what is open, and typing is shown.
(() => {
  const scroll = document.getElementById("scroll");
  if (!scroll) return;
  const isAtEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 120;
  const toEnd = () => (scroll.scrollTop = scroll.scrollHeight);
  if (!location.search.includes("before=")) toEnd();

  // Only what differs is replaced, so that an open tapback menu or a selection survives the poll.
  const merge = (fresh) => {
    const list = document.getElementById("said");
    const wasAtEnd = isAtEnd();
    const incoming = fresh.querySelector("#said");
    const kept = new Set();
    for (const item of [...incoming.children]) {
      const known = item.id && document.getElementById(item.id);
      kept.add(item.id);
      if (!known) list.append(item);
      else if (item.id !== "older" && item.dataset.version !== known.dataset.version) {
        known.replaceWith(item);
        window.htmx.process(item);
      }
      if (!known) window.htmx.process(item);
    }
    const typing = document.getElementById("typing");
    if (typing && !kept.has("typing")) typing.remove();
    else if (typing) list.append(typing);
    for (const empty of list.querySelectorAll(":scope > .empty")) empty.remove();
    if (wasAtEnd) toEnd();
  };

  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr, requestConfig } = event.detail;
    if (target.id !== "thread" || xhr.status !== 200) return;
    const fresh = new DOMParser().parseFromString(xhr.responseText, "text/html").getElementById("thread");
    if (!fresh || requestConfig.verb !== "get") return;
    event.detail.shouldSwap = false;
    merge(fresh);
    const thread = document.getElementById("thread");
    thread.dataset.version = fresh.dataset.version;
    const unread = fresh.querySelector(":scope > form");
    thread.querySelector(":scope > form")?.remove();
    if (unread) {
      thread.append(unread);
      window.htmx.process(unread);
    }
  });

  // The poll says which version is on the screen.
  document.body.addEventListener("htmx:configRequest", (event) => {
    if (event.target.id !== "thread") return;
    event.detail.path = event.detail.path.split("?")[0];
    event.detail.parameters.version = event.target.dataset.version;
  });

  // An answer that was taken shows at once.
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "thread" || event.detail.target.id === "answer") {
      window.htmx.trigger("#thread", "refresh");
      document.getElementById("reply")?.focus();
      toEnd();
    }
  });

  let lastTold = 0;
  let stop;
  const tell = (isTyping) => {
    const form = document.querySelector("#answer form");
    if (!form?.dataset.typing) return;
    const body = new FormData();
    body.set("is_typing", isTyping ? "1" : "0");
    body.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    fetch(form.dataset.typing, { method: "POST", body, headers: { "HX-Request": "true" } }).catch(() => {});
  };

  document.addEventListener("input", (event) => {
    if (event.target.id !== "reply") return;
    clearTimeout(stop);
    stop = setTimeout(() => { lastTold = 0; tell(false); }, 5000);
    if (Date.now() - lastTold > 4000) {
      lastTold = Date.now();
      tell(true);
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.target.id !== "reply" || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    clearTimeout(stop);
    lastTold = 0;
    if (event.target.value.trim()) event.target.form.requestSubmit();
  });
})();
