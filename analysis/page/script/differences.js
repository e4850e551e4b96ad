// Words that two texts do not share ---------------------------------------------------------------------------------------

// Longer texts are compared by their beginnings and ends only.
const MOST_WORDS = 1500;

/** For each of two texts its pieces [text, whether it is in that text alone], by the longest common run of words. */
function wordDifferences(first, second) {
  const [a, b] = [first, second].map((text) => text.match(/\s+|[\p{L}\p{N}_']+|[^\s\p{L}\p{N}_']/gu) ?? []);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let [endA, endB] = [a.length, b.length];
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) [endA, endB] = [endA - 1, endB - 1];
  const [sharedA, sharedB] = [new Set(), new Set()];
  if (endA - start <= MOST_WORDS && endB - start <= MOST_WORDS) {
    for (const [i, j] of commonWords(a.slice(start, endA), b.slice(start, endB))) {
      sharedA.add(start + i);
      sharedB.add(start + j);
    }
  }
  const pieces = (words, end, shared) =>
    words.map((word, i) => [word, i >= start && i < end && !shared.has(i) && word.trim() !== ""]);
  return [joined(pieces(a, endA, sharedA)), joined(pieces(b, endB, sharedB))];
}

/** Places [i, j] of a longest common subsequence of two lists of words. */
function commonWords(a, b) {
  const width = b.length + 1;
  const length = new Uint16Array((a.length + 1) * width); // of the tails that begin at i and j
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const skip = Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
      length[i * width + j] = a[i] === b[j] ? length[(i + 1) * width + j + 1] + 1 : skip;
    }
  }
  const places = [];
  for (let [i, j] = [0, 0]; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) places.push([i++, j++]);
    else if (length[(i + 1) * width + j] >= length[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return places;
}

/** Pieces with neighbours of one kind joined. */
function joined(pieces) {
  const found = [];
  for (const [text, alone] of pieces) {
    const last = found.at(-1);
    if (last && last[1] === alone) last[0] += text;
    else found.push([text, alone]);
  }
  return found;
}

