// Compose and templates: merge fields at the caret, and templates that fill the text.
(() => {
  const text = document.getElementById("body");
  if (!text) return;

  const changed = () => text.dispatchEvent(new Event("input", { bubbles: true }));

  for (const button of document.querySelectorAll("[data-insert]")) {
    button.addEventListener("click", () => {
      const name = button.dataset.insert;
      const field = `{{ ${name} }}`;
      const start = text.selectionStart;
      text.setRangeText(field, start, text.selectionEnd, "end");
      if (name.endsWith(".")) {
        const caret = start + field.length - 3;
        text.setSelectionRange(caret, caret);
      }
      text.focus();
      changed();
    });
  }

  const template = document.getElementById("template");
  template?.addEventListener("change", () => {
    const body = template.selectedOptions[0]?.dataset.body;
    if (!body) return;
    text.value = body;
    changed();
  });

  // Choosing a moment means "at a moment"; choosing reasons means "for these only".
  const choose = (name, value) => {
    const radio = document.querySelector(`input[name=${name}][value=${value}]`);
    if (radio) radio.checked = true;
  };
  document.getElementById("at")?.addEventListener("input", () => choose("when", "later"));
  for (const box of document.querySelectorAll("input[name=fallback_reasons]")) {
    box.addEventListener("change", () => choose("fallback", "some"));
  }
  for (const radio of document.querySelectorAll("input[name=fallback]")) {
    radio.addEventListener("change", () => {
      document.getElementById("reasons").open = radio.value === "some";
    });
  }
})();
