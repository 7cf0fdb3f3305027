// What differs between two texts, line by line.

/** Lines that are compared; beyond, the texts are told as removed and added whole. */
const LINES_MAX = 4000;

/**
 * The lines of both texts in one order: `kind` is `same`, `removed` or `added`.
 *
 * The longest common subsequence, found for what is between the common beginning and the common end: configurations
 * differ in few places.
 * @returns {{kind: string, text: string}[]}
 */
export function diffLines(before, after) {
  const [a, b] = [linesOf(before), linesOf(after)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const same = (text) => ({ kind: "same", text });
  return [
    ...a.slice(0, start).map(same),
    ...middle(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...a.slice(a.length - end).map(same),
  ];
}

/** Only what differs, with so many lines of what is around; `null` where lines are left out. */
export function withContext(lines, around) {
  const near = lines.map(() => false);
  lines.forEach(({ kind }, at) => {
    if (kind === "same") return;
    for (let i = Math.max(0, at - around); i <= Math.min(lines.length - 1, at + around); i += 1) near[i] = true;
  });
  const shown = [];
  lines.forEach((line, at) => {
    if (near[at]) shown.push(line);
    else if (at === 0 || near[at - 1]) shown.push(null);
  });
  return shown;
}

function linesOf(text) {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function middle(a, b) {
  if (a.length * b.length > LINES_MAX * LINES_MAX) return [...a.map(removed), ...b.map(added)];
  const width = b.length + 1;
  // common[i * width + j]: lines that a from i and b from j have in common.
  const common = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const at = i * width + j;
      common[at] = a[i] === b[j] ? common[at + width + 1] + 1 : Math.max(common[at + width], common[at + 1]);
    }
  }
  const lines = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      lines.push({ kind: "same", text: a[i] });
      [i, j] = [i + 1, j + 1];
    } else if (common[(i + 1) * width + j] >= common[i * width + j + 1]) {
      lines.push(removed(a[i++]));
    } else {
      lines.push(added(b[j++]));
    }
  }
  return [...lines, ...a.slice(i).map(removed), ...b.slice(j).map(added)];
}

function removed(text) {
  return { kind: "removed", text };
}

function added(text) {
  return { kind: "added", text };
}
