// How well texts stand out from what is behind them, after WCAG 2.2.

/** Texts in sight with less contrast than that, with their colours; those of disabled controls need none. */
export function contrastsBelow(page, least) {
  return page.evaluate((least) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const channels = (colour) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const luminance = ([r, g, b]) => {
      const [x, y, z] = [r, g, b].map((value) => {
        const share = value / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (node) => {
      for (let at = node; at; at = at.parentElement) {
        const colour = channels(getComputedStyle(at).backgroundColor);
        if (colour[3] === 255) return colour;
      }
      return [255, 255, 255, 255];
    };
    const found = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
      const node = text.parentElement;
      if (text.data.trim() === "" || !node.checkVisibility({ visibilityProperty: true })) continue;
      if (node.closest(":disabled, .unseen, .skip, script, noscript, option")) continue;
      const [one, other] = [luminance(channels(getComputedStyle(node).color)), luminance(behind(node))];
      const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      if (contrast < least)
        found.add(
          `${node.tagName}.${node.getAttribute("class")} "${text.data.trim().slice(0, 20)}": ${contrast.toFixed(2)}`,
        );
    }
    return [...found];
  }, least);
}
