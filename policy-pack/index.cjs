// The SDK would check the types of the pack at each run, which takes seconds; `npm run verify` has done so.
require("tsx/cjs");
require("./index.ts");
