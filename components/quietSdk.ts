// What Pulumi's SDK does for its own debugging takes half of the time of a program that has nothing to do, and more with each
// worker. Loaded before anything else of the program.
import * as pulumi from "@pulumi/pulumi";

/**
 * It notes with each promise where it was made, for the day that one never settles: thousands of stacks, each of which ts-node
 * looks up in its source maps. That waits until somebody reads one.
 */
const mapped = Error.prepareStackTrace;
if (mapped !== undefined) {
    Error.prepareStackTrace = (error, frames) =>
        frames[0]?.getFunctionName() === "debuggablePromise"
            ? { toString: () => String(mapped(error, frames)) }
            : mapped(error, frames);
}

/** It tells the engine of each step of each registration, which nobody sees without --debug. */
Object.assign(pulumi.log, { debug: () => Promise.resolve() });

/** It keeps in the state where each resource was made, with all that stands below: a tenth of a worker's state, looked up too. */
Object.assign(pulumi.Resource, { stackTrace: () => [] });
