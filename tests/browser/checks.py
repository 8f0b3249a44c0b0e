"""What holds for every page, whatever it shows."""

import json

_VIOLATIONS = """axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.map(
    rule => rule.id + ': ' + rule.nodes.map(node => node.target.join(' ')).slice(0, 4).join(', ')))"""
_OVERLAPS = """(() => {
  const told = [], shown = e => e.getClientRects().length && e.textContent.trim();
  for (const svg of document.querySelectorAll('svg')) {
    const edge = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].filter(shown).map(e => [e, e.getBoundingClientRect()]);
    for (const [e, r] of texts)
      if (r.left < edge.left - 1 || r.right > edge.right + 1 || r.top < edge.top - 1 || r.bottom > edge.bottom + 1)
        told.push('cut off: ' + e.textContent);
    for (const [e, r] of texts)
      if (r.height < 9) told.push('too small, ' + r.height + ': ' + e.textContent);
    for (let i = 0; i < texts.length; i++) for (let j = 0; j < i; j++) {
      const [a, r] = texts[i], [b, s] = texts[j];
      const wide = Math.min(r.right, s.right) - Math.max(r.left, s.left);
      const high = Math.min(r.bottom, s.bottom) - Math.max(r.top, s.top);
      if (wide > 1 && high > 0.3 * Math.min(r.height, s.height)) told.push(a.textContent + ' over ' + b.textContent);
    }
  }
  return told;
})()"""
_DARK = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every(part => Number(part) < 60)"


def check_look(tab, scheme, axe):
    """Nothing sticks out, nothing lies over something else, colours follow the scheme, and axe-core finds no fault."""
    assert tab.js("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than its window"
    assert tab.js(_OVERLAPS) == []
    assert tab.js(_DARK) == (scheme == "dark")
    tab.js(f"{axe};0")
    assert tab.js(_VIOLATIONS) == []


def check_alone(tab, *starts):
    """The console is quiet, and whatever was asked for begins as it should."""
    assert tab.faults() == []
    elsewhere = [address for address in tab.addresses() if not address.startswith((*starts, "data:"))]
    assert elsewhere == []


def quoted(value):
    """A value as JavaScript writes it."""
    return json.dumps(value)
