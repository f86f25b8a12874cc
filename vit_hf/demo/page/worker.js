// The model, beside the page, which stays awake while it thinks.

import * as ort from "./runtime/ort.js";

let session = null;

onmessage = async ({ data }) => {
  try {
    postMessage(await answers[data.kind](data));
  } catch (error) {
    postMessage({ kind: "failed", asked: data.kind, id: data.id, reason: String(error?.message ?? error) });
  }
};

const answers = {
  async load({ model }) {
    const begun = performance.now();
    // Threads share memory, which browsers allow pages that a server isolates.
    ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
    ort.env.wasm.wasmPaths = { wasm: new URL("./runtime/ort.wasm", import.meta.url).href };
    ort.env.logLevel = "error";
    const file = await bytesOf(new URL(model, import.meta.url));
    session = await ort.InferenceSession.create(file);
    return {
      kind: "ready",
      seconds: (performance.now() - begun) / 1000,
      threads: ort.env.wasm.numThreads,
      heat: session.outputNames.includes("heat"),
    };
  },

  // bytes: h w c
  async ask({ id, bytes, height, width, channels }) {
    const begun = performance.now();
    const images = new ort.Tensor("uint8", bytes, [height, width, channels]);
    const { probabilities, heat } = await session.run({ images });
    const map = heat && { values: heat.data, rows: heat.dims[0], columns: heat.dims[1] };
    return { kind: "answer", id, probabilities: probabilities.data, heat: map, seconds: (performance.now() - begun) / 1000 };
  },
};

async function bytesOf(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`the server answered ${answer.status} for ${address.pathname.split("/").pop()}`);
  return new Uint8Array(await answer.arrayBuffer());
}
