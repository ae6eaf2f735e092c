// Where the result of a step starts in what it prints. CommonJS, which every Node and every loader takes; the types are in the file
// beside it.
"use strict";

/** Every step prints this line first: what stands before it comes from the login's shell, which may greet whoever logs in. */
const resultMark = "==> result of the step";

/** What a step has printed by itself. All of it, where it is one of an earlier version, which had no mark. */
const resultIn = (stdout) => stdout.split(new RegExp(`^${resultMark}$\\n?`, "m")).at(-1);

module.exports = { resultMark, resultIn };
