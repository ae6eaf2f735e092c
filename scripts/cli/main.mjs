// The project's command line: what the npm scripts call. Zero dependencies, runs on Node 20.
import { setup } from "./setup.mjs";
import { report } from "./failure.mjs";
import { guardSignals } from "./run.mjs";
guardSignals();
try {
    console.log(await setup(process.argv[3] ?? "up"));
} catch (error) {
    process.exitCode = report(error);
}
