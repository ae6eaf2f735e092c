/**
 * Pulumi's SDK notes with each promise where it was made, for the day that one never settles: some thousands of stacks, each of
 * which ts-node would look up in its source maps, a fifth of a program's time. Looked up when it is read, it costs nothing.
 */
const mapped = Error.prepareStackTrace;
if (mapped !== undefined) {
    Error.prepareStackTrace = (error, frames) =>
        frames[0]?.getFunctionName() === "debuggablePromise"
            ? { toString: () => String(mapped(error, frames)) }
            : mapped(error, frames);
}
