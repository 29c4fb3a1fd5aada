/** How readable the texts of a page are. */
export interface Contrast {
  readonly looked: number;
  /** Those that are hard to read. */
  readonly poor: readonly { readonly text: string; readonly ratio: number }[];
}

/**
 * To be evaluated in a page: every visible text whose contrast with what is behind it is below 4.5, as the Web Content Accessibility Guidelines count it, and
 * how many were looked at.
 */
export const contrastScript = `(() => {
  const channels = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((value) => value / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let e = element; e !== null; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (channels(color)[3] !== 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const poor = [];
  let looked = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node !== null; node = texts.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === '' || element === null || element.getClientRects().length === 0) continue;
    looked++;
    const [light, dark] = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) poor.push({ text: node.data, ratio });
  }
  return { looked, poor };
})()`;
