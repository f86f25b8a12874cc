// From a file to the bytes that the model takes, and to what is seen of them.

// As many pixels of a picture as a browser's memory takes along; a larger one is shrunk to them.
export const MOST_PIXELS = 16_000_000;
const [SHOWN_LEAST, SHOWN_MOST] = [256, 1024]; // pixels of the longer side of what is drawn

export class NoPicture extends Error {}

// -> { bitmap, shrunk }: upright, as the file says, and its colors as they are stored
export async function decode(file) {
  const how = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, how);
  } catch {
    throw new NoPicture();
  }
  const share = Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height));
  if (share >= 1) return { bitmap, shrunk: false };
  const [resizeWidth, resizeHeight] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.floor(share * side)));
  return { bitmap: await createImageBitmap(bitmap, { resizeWidth, resizeHeight, resizeQuality: "high" }), shrunk: true };
}

// -> h w c, bytes
export function bytesOf(bitmap, channels) {
  let rgba = byCanvas(bitmap);
  // A canvas forgets the colors of what is transparent, which the model is shown.
  if (isTransparent(rgba)) rgba = byWebGL(bitmap) ?? rgba;
  if (channels === 4) return rgba;
  const pixels = rgba.length / 4;
  const bytes = new Uint8Array(channels * pixels);
  for (let pixel = 0; pixel < pixels; pixel++) {
    const [red, green, blue] = [rgba[4 * pixel], rgba[4 * pixel + 1], rgba[4 * pixel + 2]];
    if (channels === 1) {
      bytes[pixel] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16; // as Pillow makes grays
    } else {
      bytes[3 * pixel] = red;
      bytes[3 * pixel + 1] = green;
      bytes[3 * pixel + 2] = blue;
    }
  }
  return bytes;
}

function byCanvas(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height).data;
}

function isTransparent(rgba) {
  for (let place = 3; place < rgba.length; place += 4) if (rgba[place] < 255) return true;
  return false;
}

function byWebGL(bitmap) {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl");
  if (!gl || Math.max(bitmap.width, bitmap.height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  const texture = gl.getParameter(gl.TEXTURE_BINDING_2D);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE) return null;
  const rgba = new Uint8Array(4 * bitmap.width * bitmap.height);
  gl.readPixels(0, 0, bitmap.width, bitmap.height, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return rgba;
}

// -> { left, top, width, height }: where in a picture of these sides lies what the model sees; beyond them, of a border
// sees: { size: [height, width] or the shortest side, crop: [height, width] or null, border: whether there is one }
export function seenBox(width, height, sees) {
  const [tall, wide] = Array.isArray(sees.size) ? sees.size : [sees.size, sees.size];
  if (!sees.crop && !sees.border) return { left: 0, top: 0, width, height };
  const shrinks = [height / tall, width / wide];
  const ratio = sees.border ? Math.max(...shrinks) : Math.min(...shrinks);
  const [seenHeight, seenWidth] = (sees.crop ?? [tall, wide]).map((side) => side * ratio);
  return { left: (width - seenWidth) / 2, top: (height - seenHeight) / 2, width: seenWidth, height: seenHeight };
}

// Draw the picture, and over it the heat: gray where it is cold, in color where it is hot.
// heat: { values, rows, columns } or null, of patches; share: how much of the heat is seen, from 0 to 1; of: what share
// of the height and of the width of what the model sees a patch covers: all of them less, where the rest is cut, or
// more, where it is padded
export function draw(canvas, bitmap, heat, share, { sees, patch_share: of, colors }) {
  const longer = Math.max(bitmap.width, bitmap.height);
  const grown = Math.min(SHOWN_MOST, Math.max(longer, SHOWN_LEAST)) / longer;
  canvas.width = Math.max(1, Math.round(grown * bitmap.width));
  canvas.height = Math.max(1, Math.round(grown * bitmap.height));
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = grown <= 2; // few pixels are seen as such
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  if (!heat || !share) return;
  const seen = seenBox(canvas.width, canvas.height, sees);
  context.imageSmoothingEnabled = true;
  context.save();
  context.globalCompositeOperation = "saturation";
  context.fillStyle = `rgb(128 128 128 / ${0.65 * share})`;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.restore();
  context.save();
  context.beginPath();
  context.rect(seen.left, seen.top, seen.width, seen.height);
  context.clip();
  const [width, height] = [heat.columns * of[1] * seen.width, heat.rows * of[0] * seen.height];
  context.drawImage(cells(heat, share, colors), seen.left, seen.top, width, height);
  context.restore();
}

// One pixel for each patch, which drawImage makes smooth.
function cells({ values, rows, columns }, share, colors) {
  const small = new OffscreenCanvas(columns, rows);
  const context = small.getContext("2d");
  const drawn = context.createImageData(columns, rows);
  const lowest = Math.min(...values);
  const range = Math.max(...values) - lowest || 1;
  values.forEach((value, place) => {
    const heat = (value - lowest) / range;
    const [red, green, blue] = colors[Math.round(heat * (colors.length - 1))];
    drawn.data.set([red, green, blue, Math.round(255 * share * heat)], 4 * place);
  });
  context.putImageData(drawn, 0, 0);
  return small;
}
