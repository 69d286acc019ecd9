// Runs before the first paint: the chosen theme, and the zone in which times are shown.
(() => {
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `zone=${zone};path=/;max-age=31536000;samesite=lax`;
})();
