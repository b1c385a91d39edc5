// Forecasts of a stored model in Node, without Python:
//
//   npm install --ignore-scripts && node forecast.mjs models/AirPassengers/1 data/AirPassengers.csv
//
// (The scripts of onnxruntime-node fetch CUDA, which is not used here.)
//
// It reads the last column of a CSV file of one series, oldest row first, and prints the forecast as JSON. The graph has scaling
// and transforms in it, so it takes raw values; missing ones, and the time before the first row, are NaN.

import { readFileSync } from "node:fs";
import ort from "onnxruntime-node";

const [folder, file] = process.argv.slice(2);
const manifest = JSON.parse(readFileSync(`${folder}/manifest.json`, "utf8"));
const length = manifest.context_length;

const rows = readFileSync(file, "utf8").trim().split(/\r?\n/).slice(1);
const values = rows.map((row) => row.split(",").at(-1).trim()).map((text) => (text === "" ? NaN : Number(text)));

const context = new Float64Array(length).fill(NaN);
context.set(values.slice(-length), Math.max(0, length - values.length));

const session = await ort.InferenceSession.create(`${folder}/model.onnx`);
const further = session.inputNames.filter((name) => name !== "context");
if (further.length > 0) {
  console.error(`this model also reads ${further.join(", ")}: docs/artifact.md says what these are`);
  process.exit(2);
}
const { forecast } = await session.run({ context: new ort.Tensor("float64", context, [1, length]) });

const [, horizon, columns] = forecast.dims; // the point forecast, then the quantiles
const step = (h) => Array.from(forecast.data.slice(h * columns, (h + 1) * columns));
const steps = Array.from({ length: horizon }, (_, h) => step(h));
console.log(
  JSON.stringify({
    prediction: steps.map((one) => one[0]),
    levels: manifest.quantiles,
    quantiles: steps.map((one) => one.slice(1)),
  }),
);
