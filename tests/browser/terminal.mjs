// Makes a picture of a terminal: reads what `tmux capture-pane -p -e` prints, and writes a PNG.
//
//     tmux capture-pane -p -e | node tests/browser/terminal.mjs docs/top.png

import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const COLOURS = ["#1d2733", "#e0625a", "#63b56b", "#d9a441", "#5a9be0", "#b07bd6", "#4fb3bf", "#d5dde6"];
const BRIGHT = ["#6b7885", "#f07f78", "#7fd188", "#f0c05f", "#7db6f5", "#c99aea", "#72cdd8", "#ffffff"];

/** What a sequence of attributes makes of a style. */
function styled(style, codes) {
  for (const code of codes.split(";").map(Number)) {
    if (code === 0) style = {};
    else if (code === 1) style = { ...style, bold: true };
    else if (code === 2) style = { ...style, dim: true };
    else if (code === 7) style = { ...style, inverse: true };
    else if (code >= 30 && code < 38) style = { ...style, colour: COLOURS[code - 30] };
    else if (code >= 90 && code < 98) style = { ...style, colour: BRIGHT[code - 90] };
    else if (code === 39) style = { ...style, colour: undefined };
  }
  return style;
}

function markup(text) {
  let style = {};
  return text
    .split(/\x1b\[([\d;]*)m/)
    .map((part, index) => {
      if (index % 2) {
        style = styled(style, part);
        return "";
      }
      const plain = part.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
      const [front, back] = style.inverse ? ["#10161d", style.colour ?? "#d5dde6"] : [style.colour ?? "#d5dde6", "none"];
      const weight = style.bold ? "bold" : "normal";
      return `<span style="color:${front};background:${back};font-weight:${weight};opacity:${style.dim ? 0.6 : 1}">${plain}</span>`;
    })
    .join("");
}

const [file = "docs/top.png"] = process.argv.slice(2);
const text = readFileSync(0, "utf8").trimEnd();
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage();
await page.setContent(
  `<body style="margin:0;background:#10161d"><pre style="display:inline-block;margin:0;padding:14px 18px;font:14px/1.3 'DejaVu Sans Mono',monospace">${markup(text)}</pre>`,
);
await page.locator("pre").screenshot({ path: file });
await browser.close();
