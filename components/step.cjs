// How a step is called on a machine, and where its result starts in what it prints. CommonJS, which every Node and every loader
// takes; the types are in the file beside it.
"use strict";

/** Every step prints this line first: what stands before it comes from the login's shell, which may greet whoever logs in. */
const resultMark = "==> result of the step";

/** What a step has printed by itself. All of it, where it is one of an earlier version, which had no mark. */
const resultIn = (stdout) => stdout.split(new RegExp(`^${resultMark}$\\n?`, "m")).at(-1);

/** Where the scripts are that were brought to a machine, and the exit code of a step that does not find its own there. */
const scriptsPlace = "/var/lib/runtime-sandboxes-scripts";
const scriptsLost = 66;

const shellQuote = (value) => `'${value.replaceAll("'", "'\\''")}'`;

const limitedShell = (shell, timeout) => (shell ?? "bash").replace(/bash$/, `timeout --kill-after=10 ${timeout} bash`);

const stepCall = (shell, timeout, verb) => `${limitedShell(shell, timeout)} -s -- ${verb}`;

module.exports = { resultMark, resultIn, scriptsPlace, scriptsLost, shellQuote, limitedShell, stepCall };
