// Checks of a page as accessibility tools make them, evaluated in the browser by the tests.

const TEXTS = "p, td, th, h1, h2, h3, h4, summary, a, code, li, label, span, figcaption, svg text";
const NAMED = "a, button, input, select, textarea, summary, svg[role], img, [role=region]";

function luminance(colour) {
  const [r, g, b] = colour.map((value) => {
    const part = value / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function parse(text) {
  return text.match(/[\d.]+/g).map(Number);
}

function background(node) {
  for (let each = node; each; each = each.parentElement) {
    const colour = parse(getComputedStyle(each).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour.slice(0, 3);
  }
  return [255, 255, 255];
}

function hasText(node) {
  return [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
}

// What a text of a drawing stands on: the box beside it, else what the drawing stands on.
function drawnOn(text) {
  const box = text.parentElement.querySelector(":scope > rect");
  const colour = box ? parse(getComputedStyle(box).fill) : [];
  return colour.length ? colour.slice(0, 3) : background(text.closest("svg"));
}

// Texts whose contrast is below 4.5 to 1 (WCAG 2.1, 1.4.3).
function poorContrast() {
  const found = [];
  for (const node of document.querySelectorAll(TEXTS)) {
    if (!node.checkVisibility() || !hasText(node)) continue;
    const drawn = node.closest("svg") !== null;
    const style = getComputedStyle(node);
    const text = luminance(parse(drawn ? style.fill : style.color).slice(0, 3));
    const behind = luminance(drawn ? drawnOn(node) : background(node));
    const ratio = (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05);
    if (ratio < 4.5) found.push(`${node.tagName} ${node.textContent.trim().slice(0, 40)} ${ratio.toFixed(2)}`);
  }
  return found;
}

// Links, buttons, fields, pictures and regions that a screen reader has no name for.
function withoutName() {
  return [...document.querySelectorAll(NAMED)]
    .filter((node) => {
      const label = node.closest("label") || (node.id && document.querySelector(`label[for="${node.id}"]`));
      const name = node.getAttribute("aria-label") || node.getAttribute("alt") || node.textContent.trim();
      return !(name || (label && label.textContent));
    })
    .map((node) => node.outerHTML.slice(0, 80));
}
