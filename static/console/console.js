// What every page may do: switch the theme, close menus, confirm what can't be undone.
(() => {
  const root = document.documentElement;
  const isDark = () =>
    (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-switch]")) {
      root.dataset.theme = isDark() ? "light" : "dark";
      localStorage.setItem("theme", root.dataset.theme);
    }
    for (const menu of document.querySelectorAll("details.react[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.react[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // A second press of the same button, before the answer is here, asks for nothing more.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) {
      event.preventDefault();
      return;
    }
    if (form.method === "post" && !form.hasAttribute("hx-post")) {
      setTimeout(() => form.querySelectorAll("button").forEach((button) => (button.disabled = true)));
    }
  });
  // A link that opens something below it closes it again.
  document.addEventListener(
    "click",
    (event) => {
      const link = event.target.closest("[data-opens]");
      if (!link) return;
      const place = document.getElementById(link.dataset.opens);
      const isOpen = place.childElementCount > 0;
      link.setAttribute("aria-expanded", String(!isOpen));
      if (!isOpen) return;
      place.replaceChildren();
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );

  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  for (const only of document.querySelectorAll("[data-needs-script]")) only.hidden = false;
})();
