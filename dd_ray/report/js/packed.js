// What Python packed into the page: see dd_ray/report/packing.py.

const DIGITS_OF_85 =
  "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~"; // the comma is for "<"

/** The bytes of a text in base85: five digits are four bytes, n + 1 at its end are n. */
function bytesOf(text) {
  const digits = new Uint8Array(128);
  for (let i = 0; i < DIGITS_OF_85.length; i++) digits[DIGITS_OF_85.charCodeAt(i)] = i;
  const bytes = new DataView(new ArrayBuffer(4 * Math.ceil(text.length / 5)));
  for (let from = 0, to = 0; from < text.length; from += 5, to += 4) {
    let word = 0;
    for (let i = from; i < from + 5; i++) word = 85 * word + (i < text.length ? digits[text.charCodeAt(i)] : 84);
    bytes.setUint32(to, word);
  }
  return new Uint8Array(bytes.buffer, 0, Math.floor((4 * text.length) / 5));
}

/** The bytes of a packed element, as a stream is read. */
function unzipped(id) {
  if (!("DecompressionStream" in window)) throw new Error("it needs a browser of 2023 or later");
  const bytes = bytesOf(document.getElementById(id).textContent);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
}

/** Run the library of plots, whose hash the page's policy has. */
async function runLibrary() {
  const script = document.createElement("script");
  script.textContent = await unzipped("library").text();
  document.head.append(script);
}

const PACKED = "~";
const NO_NUMBER = -(2 ** 31);
const FIRST_POWER = -30;
const TENS = Array.from({ length: 23 }, (_, power) => Number("1e" + power));

/** The number of up to so many digits that a code stands for. */
function decimalOf(code, digits) {
  if (code === NO_NUMBER) return null;
  if (code === 0) return 0;
  const least = TENS[digits - 1];
  const above = Math.abs(code) - 1;
  const whole = (above % (9 * least)) + least;
  const shift = 6 - digits; // the power of a number of six digits is one that a double holds exactly
  const power = Math.floor(above / (9 * least)) + FIRST_POWER - shift;
  const ofSix = whole * TENS[shift];
  const size = power < 0 ? ofSix / TENS[-power] : ofSix * TENS[power];
  return code < 0 ? -size : size;
}
const wholeOf = (code) => (code === NO_NUMBER ? null : code);

/** Give the numbers of a column, from the place of its first, as they are asked for. */
function readerOf(planes, count) {
  return (first, digits, length) => {
    const numbers = new Array(length);
    const numberOf = digits ? (code) => decimalOf(code, digits) : wholeOf;
    let code = 0;
    for (let i = 0, at = first; i < length; i++, at++) {
      const step =
        planes[at] | (planes[count + at] << 8) | (planes[2 * count + at] << 16) | (planes[3 * count + at] << 24);
      code = (code + ((step >>> 1) ^ -(step & 1))) | 0;
      numbers[i] = numberOf(code);
    }
    return numbers;
  };
}

/** Unpack one reference: a list, a list of lists, or an object of lists. */
function unpacked([first, digits, rows, columns, names], numbersAt, namesOf) {
  const numbers = numbersAt(first, digits, (rows || 1) * columns);
  if (names !== undefined)
    return Object.fromEntries(namesOf[names].map((name, row) => [name, numbers.slice(row * columns, (row + 1) * columns)]));
  if (!rows) return numbers;
  return Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) => numbers[column * rows + row]));
}

/** Give an object a property that is worked out when it is first asked for. */
function lazy(owner, key, made) {
  const look = { configurable: true, enumerable: true };
  const get = () => {
    const value = made();
    Object.defineProperty(owner, key, { ...look, value, writable: true });
    return value;
  };
  Object.defineProperty(owner, key, { ...look, get });
}

/** Have what is packed in a tree be unpacked when it is first asked for. */
function unpackLater(tree, unpack) {
  for (const [key, part] of Object.entries(tree)) {
    if (part === null || typeof part !== "object") continue;
    if (Object.hasOwn(part, PACKED)) lazy(tree, key, () => unpack(part[PACKED]));
    else unpackLater(part, unpack);
  }
  return tree;
}

/** What was packed, from its bytes. */
function contentOf(bytes) {
  const [length, count] = new Uint32Array(bytes.slice(0, 8));
  const { content, names } = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length)));
  const numbersAt = readerOf(new Uint8Array(bytes, 8 + length), count);
  const known = new Map();
  const unpack = (reference) => {
    const key = reference.join();
    if (!known.has(key)) known.set(key, unpacked(reference, numbersAt, names));
    return known.get(key);
  };
  return unpackLater({ content }, unpack).content;
}

const packedContent = async (id) => contentOf(await unzipped(id).arrayBuffer());

function cannotBeRead(error) {
  const line = document.getElementById("unread");
  line.hidden = false;
  line.textContent = "This page cannot be read: " + error.message + ".";
  throw error;
}
